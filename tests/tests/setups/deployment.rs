//! What a server is installed from: `make install`, the systemd unit, the image, and the manifest for Kubernetes.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tests::binary::{path, workspace};
use tests::engine::Engine;
use tests::home::Home;
use tests::http::get;
use tests::servers::{program, run};
use tokio::net::UnixDatagram;
use tokio::time::timeout;
use yaml_serde::Value;

fn read(path: &str) -> String {
    std::fs::read_to_string(workspace().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn make(target: &str, root: &Path) {
    let mut make = Command::new(program("make"));
    make.current_dir(workspace()).args(["--silent", target, "PREFIX=/usr"]);
    make.arg(format!("DESTDIR={}", root.display())).arg(format!("BINARY={}", path().display()));
    run(&mut make).unwrap();
}

#[test]
fn it_is_installed_and_removed() {
    let root = tempfile::tempdir().unwrap();
    let installed = |name: &str| root.path().join(name);
    make("install", root.path());
    let program_mode = std::fs::metadata(installed("usr/bin/local-runtime")).unwrap().permissions().mode();
    assert_eq!(program_mode & 0o777, 0o755);
    let help = run(Command::new(installed("usr/bin/local-runtime")).arg("--help")).unwrap();
    assert!(help.contains("serve"), "{help}");
    let example = std::fs::read_to_string(installed("usr/share/maicivy-analytics/env.example")).unwrap();
    assert_eq!(example, read(".env.example"));

    let unit = std::fs::read_to_string(installed("etc/systemd/system/maicivy-analytics.service")).unwrap();
    assert!(unit.contains("\nExecStart=/usr/bin/local-runtime serve\n"), "{unit}");
    // Without /proc/stat, process_start_time_seconds is 0, as if it had run for fifty years.
    assert!(!unit.contains("\nProcSubset="), "{unit}");
    // systemd looks whether there is a program, which is not yet where it will be.
    let here = unit.replace("/usr/bin/local-runtime", &installed("usr/bin/local-runtime").display().to_string());
    let file = installed("maicivy-analytics.service");
    std::fs::write(&file, here.replace("@PREFIX@", "/usr")).unwrap();
    let analyze = |arguments: &[&str]| {
        run(Command::new(program("systemd-analyze")).args(arguments).arg(&file))
            .unwrap_or_else(|error| panic!("{error}"))
    };
    analyze(&["verify", "--man=no"]);
    // Tenths of what systemd calls exposure, of 100: below 20 is "OK" and better.
    analyze(&["security", "--offline=true", "--threshold=20", "--no-pager"]);

    make("uninstall", root.path());
    for gone in ["usr/bin/local-runtime", "usr/share/maicivy-analytics", "etc/systemd/system/maicivy-analytics.service"]
    {
        assert!(!installed(gone).exists(), "{gone}");
    }
}

/// What `systemctl start` waits for.
#[tokio::test]
async fn systemd_is_notified_when_requests_are_answered() {
    assert!(read("deploy/systemd/maicivy-analytics.service").contains("\nType=notify\n"));
    let home = Home::on(Engine::Sqlite);
    let path = home.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let server = home.env("NOTIFY_SOCKET", path.display().to_string()).serve().await;
    let mut message = [0; 64];
    let length = timeout(Duration::from_secs(10), socket.recv(&mut message)).await.expect("in time").unwrap();
    assert_eq!(&message[..length], b"READY=1\n");
    assert_eq!(server.send(get("/health/ready")).await.status, 200);
}

/// As far as it goes without a container engine.
#[test]
fn the_image_is_made_of_what_there_is() {
    let file = read("deploy/Containerfile");
    let last = file.rsplit("\nFROM ").next().unwrap();
    assert!(last.contains("\nUSER 65532:65532\n") && last.contains("\nCMD [\"serve\"]\n"), "{last}");
    let ignored = read(".containerignore");
    for copied in file.lines().filter(|line| line.starts_with("COPY ") && !line.contains("--from")) {
        let words: Vec<&str> = copied.split_whitespace().collect();
        for source in &words[1..words.len() - 1] {
            assert!(workspace().join(source).exists(), "{copied}");
        }
    }
    for needed in ["Cargo.lock", "local-runtime/tracker/dist/script.js", "common/lists"] {
        assert!(workspace().join(needed).exists());
        assert!(!ignored.lines().any(|line| needed.starts_with(line.trim_start_matches('/'))), "{needed}");
    }
    for variable in ["ANALYTICS_ADDR", "ANALYTICS_STORE"] {
        assert!(last.contains(variable) && read(".env.example").contains(variable), "{variable}");
    }
}

#[tokio::test]
async fn the_probes_of_kubernetes_are_answered() {
    let server = Home::on(Engine::Sqlite).serve().await;
    let text = read("deploy/kubernetes/analytics.yaml");
    let documents: Vec<Value> = text.split("\n---\n").map(|text| yaml_serde::from_str(text).unwrap()).collect();
    let [set, service] = &documents[..] else { panic!("{} documents", documents.len()) };
    let pod = &set["spec"]["template"];
    assert_eq!(service["spec"]["selector"], pod["metadata"]["labels"]);
    assert_eq!(set["spec"]["selector"]["matchLabels"], pod["metadata"]["labels"]);
    let container = &pod["spec"]["containers"][0];
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let path = container[probe]["httpGet"]["path"].as_str().unwrap();
        assert_eq!(server.send(get(path)).await.status, 200, "{probe}");
        assert_eq!(container[probe]["httpGet"]["port"], container["ports"][0]["name"], "{probe}");
    }
    let variables = read(".env.example");
    for variable in container["env"].as_sequence().unwrap() {
        assert!(variables.contains(variable["name"].as_str().unwrap()), "{variable:?}");
    }
    assert_eq!(container["volumeMounts"][0]["name"], set["spec"]["volumeClaimTemplates"][0]["metadata"]["name"]);
}
