//! The encryption keys of a developer's machine: made on the first start, kept, never in the template.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use entra::crypto::{self, KeyRing};
use zeroize::Zeroizing;

use super::parse::Parsed;

/// The key ring kept in `path`; made first, readable by its owner alone, if there is none.
pub(super) fn load_or_create(path: &Path) -> Parsed<KeyRing> {
    if !path.exists() {
        let entry = Zeroizing::new(KeyRing::generate_entry("dev").map_err(|error| error.to_string())?);
        let draft = path.with_extension(crypto::random_token().map_err(|error| error.to_string())?);
        create(path, &draft, &entry).map_err(|error| refusal(path, &error.kind()))?;
    }
    let text = fs::read_to_string(path).map(Zeroizing::new).map_err(|error| refusal(path, &error.kind()))?;
    restrict(path).map_err(|error| refusal(path, &error.kind()))?;
    KeyRing::parse(text.trim()).map_err(|error| refusal(path, &error))
}

fn refusal(path: &Path, reason: &dyn std::fmt::Display) -> String {
    format!("the development keys in {} cannot be used: {reason}", path.display())
}

/// Writes to `draft` and links, so that of two starts at once one makes the keys and both read the same.
fn create(path: &Path, draft: &Path, entry: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    write_private(draft, entry)?;
    let linked = fs::hard_link(draft, path);
    fs::remove_file(draft)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn write_private(path: &Path, entry: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{entry}")?;
    file.sync_all()
}

/// Takes the file from everyone but its owner; elsewhere than on Unix the folder's rights count.
fn restrict(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}
