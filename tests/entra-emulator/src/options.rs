//! What an emulator is started with.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use uuid::Uuid;

/// The tenant that the emulator starts with, `contoso.example`.
pub const DEV_TENANT_ID: Uuid = Uuid::from_u128(0x7ec1_c4a9_5b0e_4f3f_9f0a_3d3c_0c0f_5e01);

/// The client id of the application that is registered from the start.
pub const DEV_CLIENT_ID: Uuid = Uuid::from_u128(0x2b6f_0d8e_91c4_4a57_8c1d_6e5a_7f90_b302);

/// Which TCP port to listen on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Port {
    /// Any free port, chosen by the operating system. For tests.
    #[default]
    Any,
    /// This port or none: starting fails if it is taken.
    Exact(u16),
    /// This port or the next free one after it, up to 100 further.
    From(u16),
}

/// How the emulator is started. [`Options::default`] suits tests, [`Options::development`] a developer's desk.
#[derive(Clone)]
pub struct Options {
    /// Address to listen on; keep it on loopback, the emulator knows no secrets worth the name.
    pub bind_address: IpAddr,
    /// Port to listen on.
    pub port: Port,
    /// Host name in every URL that the emulator gives out: `localhost` or `127.0.0.1`.
    ///
    /// Browsers take the two for different sites, which is how a test makes provider and
    /// application cross-site on one machine.
    pub host: String,
    /// The first tenant's id.
    pub tenant_id: Uuid,
    /// The registered application's client id.
    pub client_id: String,
    /// The application's client secret; `None` draws a random one at start.
    pub client_secret: Option<String>,
    /// Registered redirect URIs, used for sign-in and for sign-out.
    ///
    /// Matching is Entra's: exact and case-sensitive, only the port of loopback hosts is free.
    /// While the list is empty every loopback address (`http://localhost:*`) is taken.
    pub redirect_uris: Vec<String>,
    /// Whether redirect URIs are checked at all; when off, any URI is redirected to.
    pub check_redirect_uris: bool,
    /// Front-channel logout URLs that the logout page loads in hidden frames, with `sid`.
    pub front_channel_logout_urls: Vec<String>,
    /// Whether the application may be used through `/common` and `/organizations`
    /// (otherwise AADSTS50194).
    pub multi_tenant: bool,
    /// Delegated Graph permissions that an administrator has granted beyond those the
    /// application asks for. Entra puts all granted permissions of a resource into its token.
    pub granted_scopes: Vec<String>,
    /// Application permissions (app roles of Graph) for client credentials.
    pub application_permissions: Vec<String>,
    /// App roles of the application's own API that it holds itself, for client credentials.
    pub own_app_roles: Vec<String>,
    /// Whether `/_control/…` is served over HTTP. [`crate::Emulator::control`] works either way.
    pub http_control: bool,
}

impl Options {
    /// For a developer's desk: port 3001 or the next free one.
    #[must_use]
    pub fn development() -> Self {
        Self { port: Port::From(3001), ..Self::default() }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bind_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: Port::Any,
            host: "localhost".to_owned(),
            tenant_id: DEV_TENANT_ID,
            client_id: DEV_CLIENT_ID.to_string(),
            client_secret: None,
            redirect_uris: Vec::new(),
            check_redirect_uris: true,
            front_channel_logout_urls: Vec::new(),
            multi_tenant: true,
            granted_scopes: ["User.Read.All", "GroupMember.Read.All"].map(str::to_owned).to_vec(),
            application_permissions: ["User.Read.All", "GroupMember.Read.All"].map(str::to_owned).to_vec(),
            own_app_roles: vec!["Users.Read.All".to_owned(), "AuditLog.Read.All".to_owned()],
            http_control: false,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("bind_address", &self.bind_address)
            .field("port", &self.port)
            .field("host", &self.host)
            .field("tenant_id", &self.tenant_id)
            .field("client_id", &self.client_id)
            .field("client_secret", &self.client_secret.as_ref().map(|_| "[redacted]"))
            .field("redirect_uris", &self.redirect_uris)
            .field("http_control", &self.http_control)
            .finish_non_exhaustive()
    }
}
