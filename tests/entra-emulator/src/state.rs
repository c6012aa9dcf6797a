//! Everything that one emulator remembers, in memory, each part behind a lock of its own.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::app::App;
use crate::clock::Clock;
use crate::errors::{EntraError, Ids};
use crate::faults::Faults;
use crate::grants::{Grants, RefreshRotation, SignIn};
use crate::keys::KeyRing;
use crate::options::Options;
use crate::personas::{Directory, Persona};
use crate::random;
use crate::recorder::Recorder;
use crate::sessions::Sessions;
use crate::sync::lock;

/// The tenant of personal Microsoft accounts.
pub const PERSONAL_TENANT_ID: Uuid = Uuid::from_u128(0x9188_040d_6c67_4c5b_b112_36a3_04b6_6dad);

/// How groups are told of when a persona has more than 200.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverageForm {
    /// `_claim_names` and `_claim_sources`.
    #[default]
    ClaimSources,
    /// `hasgroups: true`.
    HasGroups,
}

/// Ids of personas that take turns. Cheap to clone: there may be many.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns {
    ids: Arc<[String]>,
    next: usize,
}

impl Turns {
    pub(crate) fn new(ids: impl IntoIterator<Item = String>) -> Self {
        Self { ids: ids.into_iter().collect(), next: 0 }
    }

    fn next(&mut self) -> Option<String> {
        let id = self.ids.get(self.next.checked_rem(self.ids.len())?).cloned();
        self.next = self.next.wrapping_add(1);
        id
    }
}

/// Behaviour that is switched while the emulator runs.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) refresh_rotation: RefreshRotation,
    /// Seconds; one value of the range is drawn for each token.
    pub(crate) access_token_lifetime: RangeInclusive<i64>,
    /// Seconds.
    pub(crate) id_token_lifetime: i64,
    pub(crate) overage: OverageForm,
    /// Who signs in without a page.
    pub(crate) auto_sign_in: Turns,
    /// 1 or 2: `accessTokenAcceptedVersion` of the application's manifest.
    pub(crate) access_token_version: u8,
    pub(crate) granted_scopes: Vec<String>,
    pub(crate) application_permissions: Vec<String>,
    pub(crate) own_app_roles: Vec<String>,
    /// Whether front-channel logout calls also carry `iss`.
    pub(crate) front_channel_iss: bool,
    /// Whether authorization responses carry `iss`, and the metadata says so (RFC 9207).
    pub(crate) response_iss: bool,
    /// Whether the application is registered for several tenants.
    pub(crate) multi_tenant: bool,
}

impl Settings {
    fn from_options(options: &Options) -> Self {
        Self {
            refresh_rotation: RefreshRotation::default(),
            // Microsoft: a random value between 60 and 90 minutes (75 on average).
            access_token_lifetime: 3600..=5400,
            id_token_lifetime: 3600,
            overage: OverageForm::default(),
            auto_sign_in: Turns::default(),
            access_token_version: 2,
            granted_scopes: options.granted_scopes.clone(),
            application_permissions: options.application_permissions.clone(),
            own_app_roles: options.own_app_roles.clone(),
            front_channel_iss: false,
            response_iss: false,
            multi_tenant: options.multi_tenant,
        }
    }
}

/// One emulator.
pub(crate) struct State {
    pub(crate) options: Options,
    pub(crate) base_url: String,
    pub(crate) client_secret: String,
    pub(crate) clock: Clock,
    pub(crate) directory: Mutex<Directory>,
    pub(crate) app: Mutex<App>,
    pub(crate) keys: KeyRing,
    pub(crate) grants: Mutex<Grants>,
    pub(crate) sessions: Mutex<Sessions>,
    pub(crate) settings: Mutex<Settings>,
    pub(crate) faults: Faults,
    pub(crate) recorder: Recorder,
    /// Grows with each forced resynchronisation of delta queries.
    delta_epoch: AtomicU64,
    /// Per persona, the claims that Graph asks for (continuous access evaluation).
    challenges: Mutex<HashMap<Uuid, Challenge>>,
}

/// Claims that Graph asks for.
struct Challenge {
    claims: String,
    /// Whether a refresh cannot meet them: the person has to sign in.
    interactive: bool,
}

impl State {
    pub(crate) fn new(options: Options, base_url: String) -> Self {
        let client_secret = options.client_secret.clone().unwrap_or_else(random::url_safe::<30>);
        let app = App::new(&options, client_secret.clone());
        Self {
            base_url,
            client_secret,
            clock: Clock::default(),
            directory: Mutex::new(Directory::contoso(options.tenant_id)),
            app: Mutex::new(app),
            keys: KeyRing::default(),
            grants: Mutex::default(),
            sessions: Mutex::default(),
            settings: Mutex::new(Settings::from_options(&options)),
            faults: Faults::default(),
            recorder: Recorder::default(),
            delta_epoch: AtomicU64::new(0),
            challenges: Mutex::default(),
            options,
        }
    }

    /// A snapshot of the settings, so that no lock is held while they are used.
    pub(crate) fn settings(&self) -> Settings {
        lock(&self.settings).clone()
    }

    /// `<base>/graph`.
    pub(crate) fn graph_url(&self) -> String {
        format!("{}/graph", self.base_url)
    }

    /// The issuer of a tenant, `<base>/<tenant>/v2.0`; `{tenantid}` makes the template.
    pub(crate) fn issuer(&self, tenant: impl std::fmt::Display) -> String {
        format!("{}/{tenant}/v2.0", self.base_url)
    }

    /// Fresh ids for an answer.
    pub(crate) fn ids(&self, client_request_id: Option<&str>) -> Ids {
        Ids::new(self.clock.now(), client_request_id)
    }

    /// The persona whose turn it is to sign in without a page, if that is switched on.
    pub(crate) fn next_auto_sign_in(&self) -> Option<Arc<Persona>> {
        let id = lock(&self.settings).auto_sign_in.next()?;
        lock(&self.directory).by_id(&id)
    }

    /// The resynchronisation count that delta tokens must carry.
    pub(crate) fn delta_epoch(&self) -> u64 {
        self.delta_epoch.load(Ordering::SeqCst)
    }

    /// Makes all delta tokens issued so far stale.
    pub(crate) fn force_delta_resync(&self) {
        self.delta_epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// Sets or lifts the claims that Graph asks for when a persona's token is used.
    ///
    /// Interactive ones are met by a sign-in alone.
    pub(crate) fn set_challenge(&self, persona: Uuid, claims: Option<String>, interactive: bool) {
        let mut challenges = lock(&self.challenges);
        match claims {
            Some(claims) => challenges.insert(persona, Challenge { claims, interactive }),
            None => challenges.remove(&persona),
        };
    }

    /// The claims that a token of this sign-in lacks, if any are asked for.
    pub(crate) fn challenge_for(&self, sign_in: &SignIn) -> Option<String> {
        let challenge = lock(&self.challenges).get(&sign_in.persona)?.claims.clone();
        let met = sign_in.claims.as_deref().is_some_and(|claims| contains(&parse(claims), &parse(&challenge)));
        (!met).then_some(challenge)
    }

    /// The challenge that only the person can meet, and that this sign-in of theirs has not.
    pub(crate) fn interactive_challenge_for(&self, sign_in: &SignIn) -> Option<String> {
        let interactive = lock(&self.challenges).get(&sign_in.persona)?.interactive;
        self.challenge_for(sign_in).filter(|_| interactive)
    }

    /// What the tenant segment of a URL means.
    ///
    /// # Errors
    /// AADSTS90002 if there is no such tenant.
    pub(crate) fn authority(&self, segment: &str) -> Result<Authority, EntraError> {
        match segment {
            "common" => Ok(Authority::Common),
            "organizations" => Ok(Authority::Organizations),
            "consumers" => Ok(Authority::Tenant(PERSONAL_TENANT_ID)),
            _ => self.tenant(segment).map(Authority::Tenant).ok_or_else(|| {
                EntraError::new(90002).detail(format!(
                    "Tenant '{segment}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant."
                ))
            }),
        }
    }

    fn tenant(&self, segment: &str) -> Option<Uuid> {
        let id = Uuid::parse_str(segment).ok();
        let directory = lock(&self.directory);
        let known = directory.tenants().iter().find(|tenant| Some(tenant.id) == id || tenant.domain == segment);
        known.map(|tenant| tenant.id)
    }
}

/// A JSON text's value, `null` for anything else.
fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

/// The claims of an earlier request and of a later one together: what a sign-in has met it has met for good.
pub(crate) fn merged_claims(earlier: Option<&str>, later: &str) -> String {
    let mut merged = earlier.map_or(Value::Null, parse);
    merge(&mut merged, parse(later));
    merged.to_string()
}

fn merge(whole: &mut Value, part: Value) {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            for (name, value) in part {
                merge(whole.entry(name).or_insert(Value::Null), value);
            }
        }
        (whole, part) => *whole = part,
    }
}

/// Whether `whole` has every member of `part`.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(name, value)| whole.get(name).is_some_and(|known| contains(known, value)))
        }
        _ => whole == part,
    }
}

/// What the first path segment stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Authority {
    Common,
    Organizations,
    Tenant(Uuid),
}

impl Authority {
    /// Whether a user of `tenant` may sign in here.
    pub(crate) fn admits(self, tenant: Uuid) -> bool {
        match self {
            Self::Common => true,
            Self::Organizations => tenant != PERSONAL_TENANT_ID,
            Self::Tenant(own) => own == tenant,
        }
    }

    /// Whether several tenants sign in here.
    pub(crate) fn is_shared(self) -> bool {
        !matches!(self, Self::Tenant(_))
    }
}

impl std::fmt::Display for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Common => f.write_str("common"),
            Self::Organizations => f.write_str("organizations"),
            Self::Tenant(id) => id.fmt(f),
        }
    }
}
