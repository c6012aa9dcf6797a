//! Who can sign in: personas, their groups, and the directory that holds them.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::random::named_uuid;

/// The domain of the first tenant's personas.
pub const DOMAIN: &str = "contoso.example";

/// A security group that a persona is a member of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Object id, as it stands in the `groups` claim.
    pub id: Uuid,
    /// Display name, as Graph tells it.
    pub name: String,
}

impl Group {
    /// A group whose id is derived from `name`, so that it is the same at each start.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { id: named_uuid(&format!("group/{name}")), name: name.to_owned() }
    }
}

/// A person (in one tenant) who can sign in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Persona {
    /// Short name that picks the persona in the account picker and in the control API; unique.
    pub id: String,
    /// The tenant that the persona is a user of (`tid`).
    pub tenant_id: Uuid,
    /// Object id in that tenant (`oid`).
    pub oid: Uuid,
    /// User principal name (`upn`, `preferred_username`).
    pub upn: String,
    /// E-mail address (`email`), if any.
    pub email: Option<String>,
    /// Display name (`name`).
    pub name: String,
    /// Given name.
    pub given_name: String,
    /// Family name.
    pub family_name: String,
    /// Job title, from Graph only.
    pub job_title: Option<String>,
    /// Department, from Graph only.
    pub department: Option<String>,
    /// App roles (`roles`); empty leaves the claim out.
    pub roles: Vec<String>,
    /// Groups; more than 200 turn the claim into an overage.
    pub groups: Vec<Group>,
    /// Whether this is a guest (`acct` 1, with `idp`).
    pub guest: bool,
    /// `idp` of a guest: the issuer that the person really signs in at.
    pub identity_provider: Option<String>,
    /// The manager's [`Persona::id`].
    pub manager: Option<String>,
    /// Whether Graph has a photo.
    pub photo: bool,
    /// `accountEnabled` in Graph; a disabled account is also refused with AADSTS50057.
    pub enabled: bool,
    /// Asks for a second factor: AADSTS50076 where no page can be shown and on refresh, unless
    /// the sign-in was stepped up by a `claims` challenge.
    pub mfa: bool,
    /// AADSTS code that an interactive sign-in ends with instead of a code.
    pub sign_in_error: Option<u32>,
    /// AADSTS code that every refresh ends with.
    pub refresh_error: Option<u32>,
    /// Claims that are added to ID tokens, or replace the usual ones; `null` removes one.
    pub extra_claims: Map<String, Value>,
}

impl Default for Persona {
    fn default() -> Self {
        Self {
            id: String::new(),
            tenant_id: crate::DEV_TENANT_ID,
            oid: Uuid::nil(),
            upn: String::new(),
            email: None,
            name: String::new(),
            given_name: String::new(),
            family_name: String::new(),
            job_title: None,
            department: None,
            roles: Vec::new(),
            groups: Vec::new(),
            guest: false,
            identity_provider: None,
            manager: None,
            photo: false,
            enabled: true,
            mfa: false,
            sign_in_error: None,
            refresh_error: None,
            extra_claims: Map::new(),
        }
    }
}

impl Persona {
    /// A member `id@domain` of the tenant, with ids derived from that address.
    #[must_use]
    pub fn member(tenant_id: Uuid, domain: &str, id: &str, given_name: &str, family_name: &str) -> Self {
        let upn = format!("{id}@{domain}");
        Self {
            id: id.to_owned(),
            tenant_id,
            oid: named_uuid(&format!("user/{tenant_id}/{upn}")),
            email: Some(upn.clone()),
            upn,
            name: format!("{given_name} {family_name}"),
            given_name: given_name.to_owned(),
            family_name: family_name.to_owned(),
            ..Self::default()
        }
    }

    /// What makes this persona worth signing in as, for the account picker.
    #[must_use]
    pub fn remark(&self) -> String {
        let mut remarks = Vec::new();
        if !self.roles.is_empty() {
            remarks.push(format!("app role {}", self.roles.join(", ")));
        }
        if self.guest {
            remarks.push("guest".to_owned());
        }
        match self.groups.len() {
            0 => {}
            1 => remarks.push("1 group".to_owned()),
            count => remarks.push(format!("{count} groups")),
        }
        if self.mfa {
            remarks.push("asks for a second factor".to_owned());
        }
        if let Some(code) = self.refused_with() {
            remarks.push(format!("refused with AADSTS{code}"));
        }
        remarks.join(" · ")
    }

    /// The AADSTS code that refuses this persona's interactive sign-in, if any.
    pub(crate) fn refused_with(&self) -> Option<u32> {
        self.sign_in_error.or((!self.enabled).then_some(50057))
    }

    /// The AADSTS code that refuses this persona's refresh, if any (`mfa` apart).
    pub(crate) fn refresh_refused_with(&self) -> Option<u32> {
        self.refresh_error.or((!self.enabled).then_some(50057))
    }
}

/// A tenant (directory) of the emulator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Directory id.
    pub id: Uuid,
    /// Verified domain, also taken in URLs instead of the id.
    pub domain: String,
    /// Display name.
    pub name: String,
}

/// A persona as the directory keeps it: with the change number that delta queries go by.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) persona: Arc<Persona>,
    pub(crate) changed: u64,
    pub(crate) deleted: bool,
}

/// All tenants and personas, in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    tenants: Vec<Tenant>,
    entries: Vec<Entry>,
    by_id: HashMap<String, usize>,
    by_oid: HashMap<Uuid, usize>,
    /// By UPN in lower case.
    by_upn: HashMap<String, usize>,
    changes: u64,
}

impl Directory {
    /// The directory that every emulator starts with.
    pub(crate) fn contoso(tenant_id: Uuid) -> Self {
        let mut directory = Self::default();
        directory.add_tenant(Tenant { id: tenant_id, domain: DOMAIN.to_owned(), name: "Contoso".to_owned() });
        for persona in contoso_personas(tenant_id) {
            directory.put(persona);
        }
        directory
    }

    pub(crate) fn add_tenant(&mut self, tenant: Tenant) {
        self.tenants.retain(|known| known.id != tenant.id);
        self.tenants.push(tenant);
    }

    pub(crate) fn tenants(&self) -> &[Tenant] {
        &self.tenants
    }

    /// Adds a persona, or replaces the one with the same [`Persona::id`].
    pub(crate) fn put(&mut self, persona: Persona) {
        self.changes += 1;
        let position = self.by_id.get(&persona.id).copied().unwrap_or(self.entries.len());
        self.by_id.insert(persona.id.clone(), position);
        self.by_oid.insert(persona.oid, position);
        self.by_upn.insert(persona.upn.to_lowercase(), position);
        let entry = Entry { persona: Arc::new(persona), changed: self.changes, deleted: false };
        match self.entries.get_mut(position) {
            Some(known) => *known = entry,
            None => self.entries.push(entry),
        }
    }

    /// Marks a persona as deleted: it can no longer sign in, and delta queries tell of it.
    pub(crate) fn delete(&mut self, id: &str) -> bool {
        self.changes += 1;
        let changes = self.changes;
        let entry = self.by_id.get(id).and_then(|position| self.entries.get_mut(*position));
        entry.is_some_and(|entry| {
            entry.deleted = true;
            entry.changed = changes;
            true
        })
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<Arc<Persona>> {
        self.live(self.by_id.get(id))
    }

    pub(crate) fn by_oid(&self, oid: Uuid) -> Option<Arc<Persona>> {
        self.live(self.by_oid.get(&oid))
    }

    /// By UPN, or by e-mail address, whatever their case.
    pub(crate) fn by_name(&self, name: &str) -> Option<Arc<Persona>> {
        let name = name.to_lowercase();
        let by_upn = self.live(self.by_upn.get(&name)).filter(|persona| persona.upn.to_lowercase() == name);
        let has_email = |persona: &Persona| persona.email.as_ref().is_some_and(|email| email.to_lowercase() == name);
        by_upn.or_else(|| self.personas().find(|persona| has_email(persona)).cloned())
    }

    fn live(&self, position: Option<&usize>) -> Option<Arc<Persona>> {
        let entry = self.entries.get(*position?)?;
        (!entry.deleted).then(|| Arc::clone(&entry.persona))
    }

    /// All personas that are not deleted.
    pub(crate) fn personas(&self) -> impl Iterator<Item = &Arc<Persona>> {
        self.entries.iter().filter(|entry| !entry.deleted).map(|entry| &entry.persona)
    }

    /// All entries, deleted ones too.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The number of the latest change.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }
}

/// The personas of `contoso.example`.
fn contoso_personas(tenant_id: Uuid) -> Vec<Persona> {
    let member = |id: &str, given: &str, family: &str| Persona::member(tenant_id, DOMAIN, id, given, family);
    vec![
        Persona {
            roles: vec!["Admin".to_owned()],
            groups: vec![Group::named("All Employees"), Group::named("IT Operations")],
            job_title: Some("IT Administrator".to_owned()),
            department: Some("IT".to_owned()),
            photo: true,
            ..member("admin", "Ada", "Admin")
        },
        Persona {
            groups: vec![Group::named("All Employees"), Group::named("Sales")],
            job_title: Some("Account Manager".to_owned()),
            department: Some("Sales".to_owned()),
            manager: Some("admin".to_owned()),
            photo: true,
            ..member("member1", "Megan", "Bowen")
        },
        Persona {
            groups: vec![Group::named("All Employees")],
            job_title: Some("Engineer".to_owned()),
            department: Some("Engineering".to_owned()),
            manager: Some("member1".to_owned()),
            ..member("member2", "Miguel", "Ångström")
        },
        guest(tenant_id),
        Persona {
            groups: (1..=230).map(|number| Group::named(&format!("Project {number:03}"))).collect(),
            job_title: Some("Programme Manager".to_owned()),
            manager: Some("admin".to_owned()),
            ..member("groups", "Grace", "Manygroups")
        },
        Persona { enabled: false, ..member("disabled", "Dennis", "Disabled") },
        Persona { groups: vec![Group::named("All Employees")], mfa: true, ..member("mfa", "Mia", "Factor") },
    ]
}

/// A guest from another tenant, as Entra shows one: with `#EXT#` in the UPN.
fn guest(tenant_id: Uuid) -> Persona {
    let home = named_uuid("tenant/fabrikam.example");
    Persona {
        upn: format!("guest_fabrikam.example#EXT#@{DOMAIN}"),
        email: Some("guest@fabrikam.example".to_owned()),
        guest: true,
        identity_provider: Some(format!("https://sts.windows.net/{home}/")),
        ..Persona::member(tenant_id, DOMAIN, "guest", "Gary", "Guest")
    }
}
