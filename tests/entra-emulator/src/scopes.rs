//! Scopes: which resource they name, and what of them ends up in a token.

use serde::Serialize;

use crate::errors::EntraError;

/// The scopes of OpenID Connect itself, which belong to no resource.
const OPENID: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// Graph's permissions that the emulator knows by more than their shape.
pub(crate) const GRAPH_RESOURCE: &str = "https://graph.microsoft.com";

/// The API that an access token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub(crate) enum Resource {
    Graph,
    /// The application's own API, `api://<client id>`.
    Own,
}

/// A request's scopes, sorted by what they mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scopes {
    /// `openid`, `profile`, `email`, `offline_access`.
    openid: Vec<String>,
    graph: Vec<String>,
    own: Vec<String>,
    first: Option<Resource>,
}

impl Resource {
    fn default_scope() -> &'static str {
        ".default"
    }
}

impl Scopes {
    /// Sorts a space-separated `scope`.
    ///
    /// # Errors
    /// AADSTS70011 for an empty list or a scope that no resource has, AADSTS500011 for a resource
    /// that the tenant does not know.
    pub(crate) fn parse(text: &str, client_id: &str, graph_url: &str) -> Result<Self, EntraError> {
        let mut scopes = Self::default();
        for scope in text.split_ascii_whitespace() {
            scopes.add(scope, client_id, graph_url)?;
        }
        if scopes.openid.is_empty() && scopes.graph.is_empty() && scopes.own.is_empty() {
            return Err(EntraError::new(70011));
        }
        Ok(scopes)
    }

    fn add(&mut self, scope: &str, client_id: &str, graph_url: &str) -> Result<(), EntraError> {
        if OPENID.contains(&scope) {
            push(&mut self.openid, scope);
            return Ok(());
        }
        let (resource, permission) = match scope.rsplit_once('/') {
            None => (Resource::Graph, scope),
            Some((resource, permission)) => (resource_of(resource, client_id, graph_url)?, permission),
        };
        let looks_well = permission == Resource::default_scope()
            || resource == Resource::Own
            || permission.contains('.') && permission.starts_with(|first: char| first.is_ascii_uppercase());
        if !looks_well {
            return Err(EntraError::new(70011).detail(format!(
                "The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid. The scope {scope} does not exist."
            )));
        }
        self.first.get_or_insert(resource);
        match resource {
            Resource::Graph => push(&mut self.graph, permission),
            Resource::Own => push(&mut self.own, permission),
        }
        Ok(())
    }

    pub(crate) fn has(&self, openid_scope: &str) -> bool {
        self.openid.iter().any(|scope| scope == openid_scope)
    }

    /// The resource that a token is issued for: the first one named, else Graph.
    pub(crate) fn resource(&self) -> Resource {
        self.first.unwrap_or(Resource::Graph)
    }

    /// Whether scopes of more than one resource are named; the token endpoint refuses that.
    pub(crate) fn names_several_resources(&self) -> bool {
        !self.graph.is_empty() && !self.own.is_empty()
    }

    /// Whether one resource's `.default` is asked for, as client credentials must.
    pub(crate) fn is_default(&self) -> bool {
        self.permissions().iter().any(|scope| scope == Resource::default_scope())
    }

    fn permissions(&self) -> &[String] {
        match self.resource() {
            Resource::Graph => &self.graph,
            Resource::Own => &self.own,
        }
    }

    /// The permissions that the access token carries: those asked for and, for Graph, those
    /// that an administrator granted (`granted`).
    pub(crate) fn token_permissions(&self, granted: &[String]) -> Vec<String> {
        let mut permissions: Vec<String> = self.permissions().iter().map(|scope| self.expand(scope)).collect();
        if self.resource() == Resource::Graph {
            for scope in granted {
                push(&mut permissions, scope);
            }
            for scope in self.openid.iter().filter(|scope| *scope != "offline_access") {
                push(&mut permissions, scope);
            }
        }
        permissions
    }

    /// `.default` stands for what was consented to.
    fn expand(&self, scope: &str) -> String {
        let expanded = match (scope == Resource::default_scope(), self.resource()) {
            (false, _) => scope,
            (true, Resource::Graph) => "User.Read",
            (true, Resource::Own) => "access_as_user",
        };
        expanded.to_owned()
    }

    /// These scopes with the OpenID Connect ones of `earlier`, for a refresh that names only a resource.
    pub(crate) fn with_openid_of(mut self, earlier: &Self) -> Self {
        for scope in &earlier.openid {
            push(&mut self.openid, scope);
        }
        self
    }
}

fn push(list: &mut Vec<String>, scope: &str) {
    if !list.iter().any(|known| known == scope) {
        list.push(scope.to_owned());
    }
}

fn resource_of(name: &str, client_id: &str, graph_url: &str) -> Result<Resource, EntraError> {
    let name = name.trim_end_matches('/');
    if name == GRAPH_RESOURCE || name == graph_url || name == "00000003-0000-0000-c000-000000000000" {
        return Ok(Resource::Graph);
    }
    if name == client_id || name.strip_prefix("api://") == Some(client_id) {
        return Ok(Resource::Own);
    }
    Err(EntraError::new(500011).detail(format!(
        "The resource principal named {name} was not found in the tenant. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant."
    )))
}
