//! nginx with one file, on a free port, configured in a folder of its own.

use anyhow::Context;
use std::{
    io::ErrorKind,
    net::SocketAddr,
    os::unix::fs::MetadataExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, time::sleep};

/// Where the file is served.
pub(super) const PATH: &str = "/range";

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running nginx; stopped when dropped.
pub(super) struct Nginx {
    pub(super) address: SocketAddr,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Nginx {
    /// None if nginx is not installed.
    pub(super) async fn start(body: &[u8]) -> anyhow::Result<Option<Self>> {
        let folder = tempfile::tempdir().context("making a folder for nginx")?;
        std::fs::write(folder.path().join("range"), body)?;
        let address = free_port()?;
        let config = folder.path().join("nginx.conf");
        std::fs::write(&config, configuration(folder.path(), address)?)?;
        let Some(child) = spawn(&config, folder.path())? else { return Ok(None) };
        let mut nginx = Self { address, child, _folder: folder };
        let begun = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            if let Some(status) = nginx.child.try_wait()? {
                anyhow::bail!("nginx ended with {status}");
            }
            anyhow::ensure!(begun.elapsed() < PATIENCE, "nginx does not listen on {address}");
            sleep(Duration::from_millis(20)).await;
        }
        Ok(Some(nginx))
    }

    /// Ends it.
    pub(super) fn stop(self) {}
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // With one process and no master, killing it leaves nothing behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(config: &Path, folder: &Path) -> anyhow::Result<Option<Child>> {
    for program in ["nginx", "/usr/sbin/nginx"] {
        let mut command = Command::new(program);
        command.arg("-c").arg(config).arg("-p").arg(folder).arg("-e").arg(folder.join("error.log"));
        match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
            Ok(child) => return Ok(Some(child)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).context("starting nginx"),
        }
    }
    Ok(None)
}

/// An address that was free a moment ago.
fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(std::net::TcpListener::bind(crate::cmd::local(0))?.local_addr()?)
}

/// One process, as the threads of prb are one; whatever it writes goes into its folder.
fn configuration(folder: &Path, address: SocketAddr) -> anyhow::Result<String> {
    let path = folder.display();
    // Its workers would be nobody, who may not look into the folder.
    let user = if std::fs::metadata(folder)?.uid() == 0 { "user root;\n" } else { "" };
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String =
        temporary.iter().map(|name| format!("    {name}_temp_path {path}/{name};\n")).collect();
    Ok(format!(
        "{user}daemon off;\nmaster_process off;\npid {path}/nginx.pid;\nerror_log {path}/error.log;\n\
         events {{ worker_connections 64; }}\n\
         http {{\n{temporary}    access_log off;\n    sendfile on;\n    tcp_nopush on;\n    keepalive_requests 1000000;\n\
         \x20   server {{ listen {address}; root {path}; }}\n}}\n"
    ))
}
