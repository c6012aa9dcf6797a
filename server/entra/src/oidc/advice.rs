//! From an error to words: what happened, who can do something about it, and what.
//!
//! What happens next follows from the OAuth error and sub-error. Microsoft's AADSTS numbers only
//! choose a better text, as Microsoft changes them without notice (Microsoft identity platform,
//! "Microsoft Entra authentication and authorization error codes").

use super::error::{CallbackFault, Endpoint, OidcError, TokenFault};
use super::provider_error::ProviderError;

/// Help for the person who sees an error, and for those they turn to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// A few words.
    pub title: &'static str,
    /// What happened.
    pub what_happened: &'static str,
    /// Who can do something about it.
    pub who: Who,
    /// What they can do.
    pub what_to_do: &'static str,
    /// What the page offers.
    pub retry: Retry,
}

/// Who can do something about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The person at the keyboard.
    You,
    /// Whoever administers the directory.
    Administrator,
    /// Whoever runs or configures this application.
    Developer,
}

/// What the page offers after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// To sign in again.
    TryAgain,
    /// To sign in with another account.
    OtherAccount,
    /// To approve the permissions, for an administrator of the organisation, or to sign in again.
    Approval,
    /// Nothing: it would fail again.
    None,
}

const fn advice(
    who: Who,
    retry: Retry,
    title: &'static str,
    what_happened: &'static str,
    what_to_do: &'static str,
) -> Advice {
    Advice { title, what_happened, who, what_to_do, retry }
}

impl OidcError {
    /// What to tell people.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            Self::Unavailable { .. } | Self::Keys(_) => OUTAGE,
            Self::Provider { error, endpoint } => error.advice_at(*endpoint),
            Self::Callback(fault) => callback_advice(*fault),
            Self::Token(fault) => token_advice(fault),
            Self::UserInfoSubject => BAD_TOKEN,
            Self::TokenResponse(_) => BAD_ANSWER,
            Self::Metadata(_) => BAD_METADATA,
            Self::Credential(_) => BAD_CREDENTIAL,
            Self::Request(_) => BAD_REQUEST,
            Self::Randomness(_) => SERVER_TROUBLE,
        }
    }
}

impl ProviderError {
    /// What to tell people about an error that the provider reports.
    #[must_use]
    pub fn advice(&self) -> Advice {
        self.advice_at(Endpoint::Token)
    }

    fn advice_at(&self, endpoint: Endpoint) -> Advice {
        let by_error = match self.error.as_str() {
            "access_denied" => DENIED,
            "consent_required" => CONSENT,
            "interaction_required" => INTERACTION,
            "login_required" | "account_selection_required" => SIGN_IN_NEEDED,
            "invalid_grant" => START_AGAIN,
            "invalid_client" => BAD_CREDENTIAL,
            "unauthorized_client" => NOT_REGISTERED,
            "invalid_scope" | "invalid_resource" => BAD_SCOPE,
            "server_error" | "temporarily_unavailable" => OUTAGE,
            _ if endpoint == Endpoint::Metadata => BAD_METADATA,
            _ => BAD_REQUEST,
        };
        self.aadsts.and_then(aadsts_advice).unwrap_or(by_error)
    }
}

/// A better text for some of Microsoft's numbers; `docs/troubleshooting.md` is written from it.
pub(super) const BY_NUMBER: &[(&[u32], Advice)] = &[
    (&[50_011], BAD_REDIRECT_URI),
    (&[700_016, 50_194, 650_056, 65_005], NOT_REGISTERED),
    (&[90_002], BAD_TENANT),
    (&[70_011, 28_002], BAD_SCOPE),
    (&[7_000_215, 700_027, 7_000_218, 700_025], BAD_CREDENTIAL),
    (&[7_000_222], EXPIRED_CREDENTIAL),
    (&[65_001, 90_094, 90_095], CONSENT),
    (&[65_004], DECLINED),
    (&[50_072, 50_074, 50_076, 50_078, 50_079, 50_158], MORE_FACTORS),
    (&[53_000, 53_001, 53_002, 53_003, 53_004, 530_032, 50_131, 50_097], CONDITIONAL_ACCESS),
    (&[50_173, 70_008, 700_082, 70_043, 70_000, 50_089], GRANT_OVER),
    (&[54_005, 501_481], START_AGAIN),
    (&[50_057], ACCOUNT_DISABLED),
    (&[50_034, 51_004, 50_020, 16_000, 90_072, 50_014], NOT_IN_TENANT),
    (&[50_105], NOT_ASSIGNED),
    (&[50_058], SIGN_IN_NEEDED),
    (&[50_196], LOOP),
    (&[90_033, 90_006, 90_090, 90_024, 50_033, 50_087, 90_012, 90_055], OUTAGE),
];

/// What is refused here, whatever the provider says.
pub(super) const REFUSED_HERE: &[Advice] = &[
    OTHER_BROWSER,
    TOO_SLOW,
    BAD_CALLBACK,
    BAD_TOKEN,
    CLOCKS,
    TENANT_NOT_ALLOWED,
    PERSONAL_ACCOUNT,
    NO_OBJECT_ID,
    NOT_STRONG_ENOUGH,
    BAD_ANSWER,
    BAD_METADATA,
];

fn aadsts_advice(number: u32) -> Option<Advice> {
    let row = BY_NUMBER.iter().find(|(numbers, _)| numbers.contains(&number));
    row.map(|(_, advice)| advice.clone())
}

fn callback_advice(fault: CallbackFault) -> Advice {
    match fault {
        CallbackFault::MissingState | CallbackFault::State | CallbackFault::OtherProvider => OTHER_BROWSER,
        CallbackFault::Expired => TOO_SLOW,
        CallbackFault::Malformed
        | CallbackFault::DuplicateParameter
        | CallbackFault::MissingCode
        | CallbackFault::CodeAndError
        | CallbackFault::Issuer
        | CallbackFault::MissingIssuer => BAD_CALLBACK,
    }
}

fn token_advice(fault: &TokenFault) -> Advice {
    match fault {
        TokenFault::TenantNotAllowed(_) => TENANT_NOT_ALLOWED,
        TokenFault::PersonalAccount => PERSONAL_ACCOUNT,
        TokenFault::Missing("oid") => NO_OBJECT_ID,
        TokenFault::AuthTime | TokenFault::AuthContext => NOT_STRONG_ENOUGH,
        TokenFault::Expired | TokenFault::NotYetValid | TokenFault::IssuedAt => CLOCKS,
        _ => BAD_TOKEN,
    }
}

const OUTAGE: Advice = advice(
    Who::You,
    Retry::TryAgain,
    "Sign-in is not available right now",
    "The sign-in service did not answer, or said that it is busy. Nothing is wrong with your account.",
    "Wait a moment and try again. If it lasts, tell the people who run this application.",
);

const DENIED: Advice = advice(
    Who::You,
    Retry::OtherAccount,
    "Access was denied",
    "The sign-in service ended the sign-in, because it was cancelled or because your account may not use this \
     application.",
    "Try again and accept, or use another account. If you should have access, ask an administrator of your \
     organisation.",
);

const DECLINED: Advice = advice(
    Who::You,
    Retry::TryAgain,
    "You declined the permissions",
    "This application needs the permissions that you were asked for.",
    "Try again and accept them, if you agree.",
);

const CONSENT: Advice = advice(
    Who::Administrator,
    Retry::Approval,
    "Approval is needed",
    "Your organisation has not yet approved the permissions that this application asks for.",
    "Ask an administrator of your organisation to approve this application: on this page, or in the Entra admin center \
     under Enterprise applications, Permissions. Then try again.",
);

const INTERACTION: Advice = advice(
    Who::You,
    Retry::TryAgain,
    "Another step is needed",
    "Your organisation asks for one more step before you may sign in.",
    "Try again and follow the steps that you are shown.",
);

const MORE_FACTORS: Advice = advice(
    Who::You,
    Retry::TryAgain,
    "Another factor is needed",
    "Your organisation asks for multi-factor authentication, or for it to be set up.",
    "Try again and complete it. If you cannot, ask an administrator of your organisation.",
);

const CONDITIONAL_ACCESS: Advice = advice(
    Who::Administrator,
    Retry::TryAgain,
    "Your organisation's rules do not allow this sign-in",
    "A Conditional Access policy asks for something that this sign-in did not have: another device, network or app.",
    "Use a device that your organisation manages, or ask an administrator: the sign-in logs name the policy.",
);

const SIGN_IN_NEEDED: Advice = advice(
    Who::You,
    Retry::TryAgain,
    "You need to sign in",
    "You are no longer signed in at the sign-in service, or it does not know which account to use.",
    "Sign in again.",
);

const START_AGAIN: Advice = advice(
    Who::You,
    Retry::TryAgain,
    "Please start again",
    "This sign-in was already used or has expired. This happens after a double click, a reload or the back button.",
    "Start the sign-in again.",
);

const GRANT_OVER: Advice = advice(
    Who::You,
    Retry::TryAgain,
    "Your sign-in has ended",
    "Your earlier sign-in no longer counts: it was revoked, the password changed, or it was too long ago.",
    "Sign in again.",
);

const ACCOUNT_DISABLED: Advice = advice(
    Who::Administrator,
    Retry::OtherAccount,
    "Your account is disabled",
    "Your organisation has disabled this account.",
    "Ask an administrator of your organisation to enable it, or use another account.",
);

const NOT_IN_TENANT: Advice = advice(
    Who::Administrator,
    Retry::OtherAccount,
    "This account does not belong here",
    "The account is not known in the organisation that this application belongs to.",
    "Use an account of that organisation, or ask one of its administrators to invite you as a guest.",
);

const NOT_ASSIGNED: Advice = advice(
    Who::Administrator,
    Retry::OtherAccount,
    "You are not assigned to this application",
    "Your organisation lets only assigned people use this application.",
    "Ask an administrator to assign you (Entra admin center, Enterprise applications, Users and groups).",
);

const LOOP: Advice = advice(
    Who::You,
    Retry::TryAgain,
    "Too many attempts",
    "The sign-in service saw the same request too often in a short time.",
    "Wait a few minutes, then try again. If it comes back, tell the people who run this application.",
);

const TENANT_NOT_ALLOWED: Advice = advice(
    Who::Administrator,
    Retry::OtherAccount,
    "Your organisation is not admitted",
    "You signed in well, but this application does not admit people of your organisation.",
    "Use an account of an organisation that is admitted. The people who run this application admit one by adding \
     its tenant id to ENTRA_ALLOWED_TENANTS.",
);

const PERSONAL_ACCOUNT: Advice = advice(
    Who::You,
    Retry::OtherAccount,
    "Personal accounts are not admitted",
    "You signed in with a personal Microsoft account. This application is for work or school accounts.",
    "Use your work or school account.",
);

const NO_OBJECT_ID: Advice = advice(
    Who::Developer,
    Retry::None,
    "The sign-in did not say who you are",
    "The ID token has no object id (`oid`).",
    "Add `profile` to ENTRA_SCOPES: Entra ID puts `oid` into the token only with that scope.",
);

const NOT_STRONG_ENOUGH: Advice = advice(
    Who::You,
    Retry::TryAgain,
    "Please sign in anew",
    "What you want to do needs a fresh or stronger sign-in, and the sign-in service did not confirm one.",
    "Try again and complete every step that you are shown. If that does not help, ask an administrator whether the app \
     registration has the optional claims auth_time and acrs.",
);

const CLOCKS: Advice = advice(
    Who::Developer,
    Retry::TryAgain,
    "The sign-in came too late or too early",
    "The token's dates do not fit the clock of this application's server.",
    "Try again. If it comes back, the server's clock is wrong: synchronise it (`server doctor` compares it).",
);

const OTHER_BROWSER: Advice = advice(
    Who::You,
    Retry::TryAgain,
    "This sign-in was not begun here",
    "The answer of the sign-in service does not belong to a sign-in that this browser has under way. It may have been \
     finished already, in this or in another tab.",
    "Start the sign-in again in this browser. Cookies must be allowed for this site.",
);

const TOO_SLOW: Advice = advice(
    Who::You,
    Retry::TryAgain,
    "The sign-in took too long",
    "More than ten minutes passed between the start of the sign-in and its end.",
    "Start the sign-in again.",
);

const BAD_CALLBACK: Advice = advice(
    Who::You,
    Retry::TryAgain,
    "The answer of the sign-in service was refused",
    "It was incomplete, contradictory or came from somewhere else, so nothing of it was used.",
    "Start the sign-in again. If it comes back, tell the people who run this application.",
);

const BAD_TOKEN: Advice = advice(
    Who::Developer,
    Retry::TryAgain,
    "The sign-in could not be verified",
    "The token of the sign-in service failed a security check, so you were not signed in.",
    "Try again. If it comes back, the reason code below tells the people who run this application which check it was.",
);

const BAD_ANSWER: Advice = advice(
    Who::Developer,
    Retry::TryAgain,
    "The sign-in service answered strangely",
    "Its answer was not a token response. A proxy between this application and the service can be the cause.",
    "Try again. If it comes back, tell the people who run this application: the log says what was wrong.",
);

const BAD_METADATA: Advice = advice(
    Who::Developer,
    Retry::None,
    "The sign-in service is not set up right",
    "What the sign-in service publishes about itself does not fit this application's settings.",
    "Check ENTRA_TENANT_ID and ENTRA_AUTHORITY, or OIDC_ISSUER; `server doctor` says what does not fit.",
);

const BAD_TENANT: Advice = advice(
    Who::Developer,
    Retry::None,
    "The organisation was not found",
    "The sign-in service does not know the tenant that this application names.",
    "Correct ENTRA_TENANT_ID (Entra admin center, Overview, Tenant ID), and ENTRA_AUTHORITY for a national cloud.",
);

const NOT_REGISTERED: Advice = advice(
    Who::Developer,
    Retry::None,
    "This application is not registered there",
    "The sign-in service does not know this application, or not for this kind of account.",
    "Compare ENTRA_CLIENT_ID and ENTRA_TENANT_ID with the app registration, and its supported account types and API \
     permissions.",
);

const BAD_REDIRECT_URI: Advice = advice(
    Who::Developer,
    Retry::None,
    "The reply address is not registered",
    "The sign-in service does not know the address that it is to send you back to.",
    "Register PUBLIC_URL followed by /auth/callback as a redirect URI of the platform `Web`, letter by letter.",
);

const BAD_SCOPE: Advice = advice(
    Who::Developer,
    Retry::None,
    "A permission is not known",
    "This application asked for a scope that the sign-in service does not know or does not give.",
    "Correct ENTRA_SCOPES, and the API permissions of the app registration.",
);

const BAD_CREDENTIAL: Advice = advice(
    Who::Developer,
    Retry::None,
    "This application could not identify itself",
    "The sign-in service did not accept this application's secret or certificate, or it could not be read.",
    "Correct ENTRA_CLIENT_SECRET (the value, not the id of the secret), ENTRA_CLIENT_SECRET_FILE, the certificate's \
     files or the federated token's file.",
);

const EXPIRED_CREDENTIAL: Advice = advice(
    Who::Developer,
    Retry::None,
    "This application's secret has expired",
    "The sign-in service no longer accepts this application's client secret.",
    "Create a new one (Entra admin center, App registrations, Certificates & secrets) and set ENTRA_CLIENT_SECRET or \
     ENTRA_CLIENT_SECRET_FILE. Nobody's tokens are lost meanwhile.",
);

const BAD_REQUEST: Advice = advice(
    Who::Developer,
    Retry::TryAgain,
    "The sign-in was refused",
    "The sign-in service did not accept this application's request.",
    "Try again. If it comes back, show the codes below to the people who run this application.",
);

const SERVER_TROUBLE: Advice = advice(
    Who::Developer,
    Retry::TryAgain,
    "Something went wrong here",
    "This application's server could not prepare the sign-in.",
    "Try again. If it comes back, tell the people who run this application.",
);
