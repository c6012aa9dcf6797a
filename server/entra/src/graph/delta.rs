//! Delta queries over the users of a directory (Microsoft Graph, "user: delta" and "Use delta query to track changes in
//! Microsoft Graph data").

use http::{Response, StatusCode};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

use super::{GraphClient, GraphError, MAX_JSON, expect_found, read_json};

/// What is asked for; the next pages and rounds repeat it by themselves.
const FIELDS: &str = "id,userPrincipalName,displayName,givenName,surname,mail,userType,accountEnabled";

/// Codes of errors that ask for a new beginning, besides the status 410.
const RESYNC_CODES: [&str; 3] = ["syncstatenotfound", "syncstateinvalid", "resyncrequired"];

/// Where a delta query goes on: addresses that Graph gave out, opaque.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeltaPosition {
    /// The next page of this round.
    Page(String),
    /// The end of this round: the next one begins there.
    End(String),
}

/// A page of a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeltaPage {
    /// Users that are there, changed or went; some may come twice.
    pub users: Vec<DirectoryUser>,
    /// Where to go on.
    pub position: DeltaPosition,
}

/// A user as the directory tells of them. `None`: not told, or not filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DirectoryUser {
    /// The object id.
    pub id: String,
    /// The user principal name.
    pub user_principal_name: Option<String>,
    /// The display name.
    pub display_name: Option<String>,
    /// The given name.
    pub given_name: Option<String>,
    /// The family name.
    pub surname: Option<String>,
    /// The address.
    pub mail: Option<String>,
    /// `Member` or `Guest`.
    pub user_type: Option<String>,
    /// Whether the account may sign in.
    pub account_enabled: Option<bool>,
    /// Why they are no longer there.
    #[serde(rename = "@removed")]
    removed: Option<Removed>,
}

/// `changed`: deleted, and may be restored; `deleted`: for good.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Removed {
    reason: String,
}

impl DirectoryUser {
    /// Somebody of whom a whole round has not told.
    #[must_use]
    pub fn missing(id: &str) -> Self {
        let removed = Some(Removed { reason: "missing".to_owned() });
        Self { id: id.to_owned(), removed, ..Self::default() }
    }

    /// Why they may not sign in, in words; `None` when they may, or when that is not told.
    #[must_use]
    pub fn shut_out(&self) -> Option<&'static str> {
        match (&self.removed, self.account_enabled) {
            (Some(removed), _) => Some(match removed.reason.as_str() {
                "deleted" => "deleted from the directory for good",
                "missing" => "no longer in the directory",
                _ => "deleted in the directory",
            }),
            (None, Some(false)) => Some("account disabled in the directory"),
            (None, _) => None,
        }
    }

    /// Whether they are deleted, for now or for good.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        self.removed.is_some()
    }

    /// Whether they are a guest, as far as is told.
    #[must_use]
    pub fn is_guest(&self) -> bool {
        self.user_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("guest"))
    }
}

/// A page on the wire.
#[derive(Deserialize)]
struct Answer {
    value: Vec<DirectoryUser>,
    #[serde(rename = "@odata.nextLink")]
    next_link: Option<String>,
    #[serde(rename = "@odata.deltaLink")]
    delta_link: Option<String>,
}

impl GraphClient {
    /// A page of the directory's users (`GET /users/delta`) at `from`, an address that Graph gave out; without one,
    /// the first page of all users. `app_token` is one of the application's own with `User.Read.All`.
    ///
    /// # Errors
    /// [`GraphError`]; [`GraphError::ResyncRequired`] when it must begin without `from`.
    pub async fn users_delta(&self, app_token: &SecretString, from: Option<&str>) -> Result<DeltaPage, GraphError> {
        let address = match from {
            Some(link) => self.own_address(link)?,
            None => self.address(&format!("users/delta?$select={FIELDS}"))?,
        };
        let response = self.get(&address, app_token, MAX_JSON).await?;
        if asks_for_resync(&response) {
            return Err(GraphError::ResyncRequired);
        }
        let answer: Answer = read_json(&expect_found(response)?)?;
        let position = match (answer.next_link, answer.delta_link) {
            (Some(link), _) => DeltaPosition::Page(link),
            (None, Some(link)) => DeltaPosition::End(link),
            (None, None) => return Err(GraphError::Unexpected { detail: "neither a next page nor an end" }),
        };
        let mut users = answer.value;
        for user in &mut users {
            user.id.make_ascii_lowercase();
        }
        Ok(DeltaPage { users, position })
    }

    /// Whether the application may read the directory's users: the cheapest call that needs the permission.
    ///
    /// # Errors
    /// [`GraphError::Forbidden`] when it may not.
    pub async fn examine_users_delta(&self, app_token: &SecretString) -> Result<(), GraphError> {
        let address = self.address(&format!("users/delta?$select={FIELDS}&$deltatoken=latest"))?;
        expect_found(self.get(&address, app_token, MAX_JSON).await?).map(drop)
    }

    /// Whether `link` is an address to which the token may go.
    #[must_use]
    pub fn is_own_address(&self, link: &str) -> bool {
        self.own_address(link).is_ok()
    }
}

/// 410, with or without a `Location`, or an error of that meaning. Where it points to is our own first page, so that
/// nothing is followed.
fn asks_for_resync(response: &Response<Vec<u8>>) -> bool {
    if response.status() == StatusCode::GONE {
        return true;
    }
    let code = || {
        let body: Value = serde_json::from_slice(response.body()).ok()?;
        Some(body.get("error")?.get("code")?.as_str()?.to_ascii_lowercase())
    };
    response.status().is_client_error() && code().is_some_and(|code| RESYNC_CODES.contains(&code.as_str()))
}
