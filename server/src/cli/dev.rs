//! Development only: the Entra emulator beside the application. The one place that touches it.

use std::io;

use entra_emulator::{Emulator, Options};

use crate::config::settings::Settings;

/// The emulator while the application runs.
#[derive(Debug)]
pub struct DevEntra {
    emulator: Emulator,
}

impl DevEntra {
    /// Starts the emulator when nothing says who signs people in, and points `settings` to it.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start_if_needed(settings: &mut Settings) -> io::Result<Option<Self>> {
        if !settings.name_no_provider() {
            return Ok(None);
        }
        let emulator = Emulator::start_for_development(Options::development())?;
        settings.entra_authority = Some(emulator.authority().to_owned());
        settings.graph_url = Some(emulator.graph_url());
        settings.entra_tenant_id = Some(emulator.tenant_id().to_string());
        settings.entra_client_id = Some(emulator.client_id().to_owned());
        settings.entra_client_secret = Some(emulator.client_secret().to_owned());
        Ok(Some(Self { emulator }))
    }

    /// Where the emulator is.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.emulator.base_url()
    }

    /// Who can sign in, with a remark each.
    #[must_use]
    pub fn personas(&self) -> Vec<String> {
        let line = |persona: entra_emulator::Persona| format!("{} ({})", persona.upn, persona.remark());
        self.emulator.personas().into_iter().map(line).collect()
    }
}
