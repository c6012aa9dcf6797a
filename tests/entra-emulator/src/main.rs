//! The emulator on its own: starts it, prints where it is and who can sign in, runs until Ctrl-C.

use std::io::{self, Write as _};
use std::net::IpAddr;

use clap::Parser;
use entra_emulator::{DEV_CLIENT_ID, DEV_TENANT_ID, Emulator, Options, Port};
use uuid::Uuid;

/// An emulator of Microsoft Entra ID and Microsoft Graph, for development and tests only.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Port to listen on; without it 3001 or the next free one. 0 takes any.
    #[arg(long)]
    port: Option<u16>,
    /// Address to listen on. Keep it on loopback.
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    /// Host name in the URLs that are given out: localhost or 127.0.0.1.
    #[arg(long, default_value = "localhost")]
    host: String,
    /// Tenant (directory) id.
    #[arg(long, default_value_t = DEV_TENANT_ID)]
    tenant_id: Uuid,
    /// The application's client id.
    #[arg(long, default_value_t = DEV_CLIENT_ID.to_string())]
    client_id: String,
    /// The application's client secret; a random one is drawn and printed unless it is set.
    #[arg(long, env = "EMULATOR_CLIENT_SECRET", hide_env_values = true)]
    client_secret: Option<String>,
    /// A registered redirect URI; may be given several times. Without any, every loopback address is taken.
    #[arg(long)]
    redirect_uri: Vec<String>,
    /// Redirect to any URI, registered or not.
    #[arg(long)]
    any_redirect_uri: bool,
    /// A front-channel logout URL; may be given several times.
    #[arg(long)]
    front_channel_logout_url: Vec<String>,
    /// Serve the control API under `/_control/`: whoever can reach the port can then change everything.
    #[arg(long)]
    control: bool,
}

impl Arguments {
    fn options(self) -> Options {
        let port = match self.port {
            None => Port::From(3001),
            Some(0) => Port::Any,
            Some(port) => Port::Exact(port),
        };
        Options {
            bind_address: self.bind,
            port,
            host: self.host,
            tenant_id: self.tenant_id,
            client_id: self.client_id,
            client_secret: self.client_secret,
            redirect_uris: self.redirect_uri,
            check_redirect_uris: !self.any_redirect_uri,
            front_channel_logout_urls: self.front_channel_logout_url,
            http_control: self.control,
            ..Options::default()
        }
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let arguments = Arguments::parse();
    let secret_is_drawn = arguments.client_secret.is_none();
    let emulator = Emulator::start(arguments.options())?;
    introduce(&emulator, secret_is_drawn)?;
    tokio::signal::ctrl_c().await?;
    emulator.shutdown().await;
    Ok(())
}

/// Prints what an application has to be told, and the personas. A drawn secret is printed
/// because nobody could know it otherwise; it is worth nothing beyond this process.
fn introduce(emulator: &Emulator, secret_is_drawn: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "Entra emulator (development only) on {}", emulator.base_url())?;
    writeln!(out, "  ENTRA_AUTHORITY={}", emulator.authority())?;
    writeln!(out, "  GRAPH_URL={}", emulator.graph_url())?;
    writeln!(out, "  ENTRA_TENANT_ID={}", emulator.tenant_id())?;
    writeln!(out, "  ENTRA_CLIENT_ID={}", emulator.client_id())?;
    if secret_is_drawn {
        writeln!(out, "  ENTRA_CLIENT_SECRET={}", emulator.client_secret())?;
    }
    writeln!(out, "Personas:")?;
    for persona in emulator.personas() {
        writeln!(out, "  {:<10} {:<46} {}", persona.id, persona.upn, persona.remark())?;
    }
    out.flush()
}
