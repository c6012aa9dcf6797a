//! What Graph returns, as far as it is used.

use serde::{Deserialize, Serialize};

/// A person (Microsoft Graph v1.0, resource type `user`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Me {
    /// The object id.
    pub id: String,
    /// The display name.
    pub display_name: Option<String>,
    /// The given name.
    pub given_name: Option<String>,
    /// The family name.
    pub surname: Option<String>,
    /// The name to sign in with.
    pub user_principal_name: Option<String>,
    /// The address.
    pub mail: Option<String>,
    /// The job title.
    pub job_title: Option<String>,
    /// The department.
    pub department: Option<String>,
    /// Where the office is.
    pub office_location: Option<String>,
    /// The mobile phone.
    pub mobile_phone: Option<String>,
    /// The phones at work.
    pub business_phones: Vec<String>,
    /// The preferred language, such as `de-CH`.
    pub preferred_language: Option<String>,
}

impl Me {
    /// What is asked for.
    pub(super) const FIELDS: &str = "id,displayName,givenName,surname,userPrincipalName,mail,jobTitle,department,\
                                     officeLocation,mobilePhone,businessPhones,preferredLanguage";
}

/// A person's manager.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Manager {
    /// The object id.
    pub id: String,
    /// The display name.
    pub display_name: Option<String>,
    /// The name to sign in with.
    pub user_principal_name: Option<String>,
    /// The address.
    pub mail: Option<String>,
    /// The job title.
    pub job_title: Option<String>,
}

impl Manager {
    /// What is asked for.
    pub(super) const FIELDS: &str = "id,displayName,userPrincipalName,mail,jobTitle";
}

/// A photo: safe to serve as `content_type`.
#[derive(Clone, PartialEq, Eq)]
pub struct Photo {
    /// One of `image/jpeg`, `image/png`, `image/gif`, `image/webp`, as the bytes say.
    pub content_type: &'static str,
    /// The image.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Photo {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Photo({}, {} bytes)", self.content_type, self.bytes.len())
    }
}

/// A group that a person belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The object id, in lower case.
    pub id: String,
    /// The display name, if this person may read it.
    pub display_name: Option<String>,
}

/// One page of a list.
#[derive(Deserialize)]
pub(super) struct Page<T> {
    pub(super) value: Vec<T>,
    /// The whole address of the next page: opaque.
    #[serde(rename = "@odata.nextLink")]
    pub(super) next: Option<String>,
}

/// A group, or one of the other things that a person can be a member of.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DirectoryObject {
    #[serde(rename = "@odata.type")]
    kind: Option<String>,
    id: String,
    display_name: Option<String>,
}

impl DirectoryObject {
    /// The group; directory roles and administrative units are left out.
    pub(super) fn into_group(self) -> Option<Group> {
        let is_group = self.kind.as_deref().is_none_or(|kind| kind == "#microsoft.graph.group");
        is_group.then(|| Group { id: self.id.to_ascii_lowercase(), display_name: self.display_name })
    }
}

/// The media type of an image, by its first bytes (WHATWG MIME Sniffing, section 6.1).
pub(super) fn image_type(bytes: &[u8]) -> Option<&'static str> {
    let is_webp = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
    match bytes {
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some("image/png"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        _ if is_webp => Some("image/webp"),
        _ => None,
    }
}
