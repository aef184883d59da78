//! The container: buildah builds its last stage with the program at hand, and podman runs it. Without these
//! tools the tests pass without checking anything; `tests/run` installs them. `tests/run --full` also builds
//! the compiling stage.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::bounded::Bounded as _;
use crate::support::program::{Folder, LOG_FORMAT, events};

/// The user that the Dockerfile sets.
const USER: u32 = 10_001;
const NAME: &str = "flockd-under-test";
const IMAGE: &str = "localhost/flockd-under-test";

/// How long startup may take: far longer than it does.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(300);

/// How long a command of buildah or podman may take, in seconds.
const LIMIT_S: &str = "300";

/// The options of `compose.yaml` that podman supports without a network of its own.
const LOCKED_IN: [&str; 12] = [
    "--read-only",
    "--tmpfs",
    "/tmp",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
    "--network=host",
    "--ulimit",
    "nofile=1024:1024",
    "--ulimit",
    "nproc=4096:4096",
];

/// Images and containers in a separate folder. Dropping it ends the running container.
struct ContainerStore {
    folder: tempfile::TempDir,
}

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

fn ok(said: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{out}{err}");
    out.into_owned()
}

/// Runs a command of [`ContainerStore::tool`]; an error says that it ran into its limit.
fn in_time(command: &mut Command) -> Result<Output, String> {
    let said = command.output_within(PATIENCE + std::time::Duration::from_secs(30)).unwrap();
    let late = || {
        let err = String::from_utf8_lossy(&said.stderr);
        format!("{:?} took longer than {LIMIT_S} s: {err}", command.get_args().collect::<Vec<_>>())
    };
    // The statuses of `timeout` when it had to end a command, or to kill it.
    if matches!(said.status.code(), Some(124 | 137)) { Err(late()) } else { Ok(said) }
}

impl ContainerStore {
    /// `None` without buildah, or if this user may not use it.
    fn new() -> Option<Self> {
        let is_there = Command::new("buildah").arg("--version").output_in_time().is_ok();
        let may = rustix::process::geteuid().is_root();
        let containers = (is_there && may).then(|| Self { folder: tempfile::tempdir().unwrap() })?;
        containers.runs_anything().then_some(containers)
    }

    /// Whether a trivial program runs in a container here: not every machine allows containers.
    fn runs_anything(&self) -> bool {
        let site = self.folder.path().join("nothing");
        fs::create_dir(&site).unwrap();
        ok(&Command::new(deploy("gather.sh"))
            .arg("/bin/true")
            .arg(site.join("gathered"))
            .output_in_time()
            .unwrap());
        fs::write(site.join("Dockerfile"), "FROM scratch\nCOPY gathered /\nCMD [\"/usr/bin/flockd\"]\n")
            .unwrap();
        let mut build = self.tool("buildah");
        build
            .args(["bud", "--isolation", "chroot", "--format", "docker", "-t", "localhost/nothing"])
            .arg(&site);
        let built = in_time(&mut build).unwrap_or_else(|late| panic!("{late}"));
        let ran = self.podman(&[&["run", "--rm"], &LOCKED_IN[..], &["localhost/nothing"]].concat());
        if !built.status.success() || !ran.status.success() {
            let said = [built.stderr, ran.stderr].concat();
            eprintln!("no container can be made here: {}", String::from_utf8_lossy(&said));
            return false;
        }
        true
    }

    /// A command of buildah or podman, which is ended after [`LIMIT_S`].
    fn tool(&self, name: &str) -> Command {
        let mut tool = Command::new("timeout");
        tool.args(["-k", "10", LIMIT_S, name]);
        let place = |part: &str| self.folder.path().join(part);
        tool.arg("--root").arg(place("root")).arg("--runroot").arg(place("run")).arg("--storage-driver=vfs");
        tool
    }

    fn podman(&self, arguments: &[&str]) -> Output {
        let mut podman = self.tool("podman");
        podman.args(["--runtime", "runc", "--cgroup-manager=cgroupfs"]).args(arguments);
        in_time(&mut podman).unwrap_or_else(|late| panic!("{late}"))
    }

    /// Builds the last stage from what `gather.sh` finds that this program needs.
    fn build(&self) {
        let site = self.folder.path().join("site");
        fs::create_dir(&site).unwrap();
        let binary = site.join("flockd");
        ok(&Command::new("strip")
            .arg("-o")
            .arg(&binary)
            .arg(env!("CARGO_BIN_EXE_flockd"))
            .output_in_time()
            .unwrap());
        ok(&Command::new(deploy("gather.sh"))
            .arg(&binary)
            .arg(site.join("gathered"))
            .arg(deploy("../LICENSE"))
            .output_in_time()
            .unwrap());
        assert!(site.join("gathered/usr/share/doc/flockd/LICENSE").is_file());
        let whole = fs::read_to_string(deploy("Dockerfile")).unwrap();
        let last = &whole[whole.find("FROM scratch").unwrap()..];
        let from_here = last.replace("COPY --from=build /gathered /", "COPY gathered /");
        assert_ne!(last, from_here);
        fs::write(site.join("Dockerfile"), from_here).unwrap();
        let mut build = self.tool("buildah");
        build.args(["bud", "--isolation", "chroot", "--format", "docker", "-t", IMAGE]).arg(&site);
        ok(&in_time(&mut build).unwrap_or_else(|late| panic!("{late}")));
    }

    /// Starts a container on the flock in this folder, hardened as in `compose.yaml`.
    fn run(&self, flock: &Path) {
        let volume = format!("{}:/flock", flock.display());
        let format = format!("{LOG_FORMAT}=json");
        let run = ["run", "-d", "--name", NAME, "-v", &volume, "--env", &format];
        ok(&self.podman(&[&run[..], &LOCKED_IN[..], &[IMAGE]].concat()));
    }

    fn exec(&self, arguments: &[&str]) -> Output {
        self.podman(&[&["exec", NAME][..], arguments].concat())
    }

    /// Waits until it is alive.
    fn is_healthy(&self) {
        let begun = std::time::Instant::now();
        while !self.exec(&["flockd", "health"]).status.success() {
            let log = String::from_utf8_lossy(&self.podman(&["logs", NAME]).stderr).into_owned();
            assert!(begun.elapsed() < PATIENCE, "it does not start: {log}");
        }
    }

    /// Stops it as a person would, and returns its log.
    fn stop(&self) -> String {
        ok(&self.podman(&["stop", "-t", "45", NAME]));
        let code = ok(&self.podman(&["inspect", NAME, "--format", "{{.State.ExitCode}}"]));
        let log = self.podman(&["logs", NAME]);
        let log = [log.stdout, log.stderr].concat();
        let log = String::from_utf8_lossy(&log).into_owned();
        assert_eq!(code.trim(), "0", "{log}");
        ok(&self.podman(&["rm", NAME]));
        log
    }
}

impl Drop for ContainerStore {
    fn drop(&mut self) {
        let mut remove = self.tool("podman");
        remove.args(["--runtime", "runc", "--cgroup-manager=cgroupfs", "rm", "-f", "-t", "0", NAME]);
        // This may be part of a failure, and then another panic would hide that.
        if let Err(late) = in_time(&mut remove) {
            eprintln!("{late}");
        }
    }
}

fn posted(folder: &Folder) -> Vec<String> {
    let posts = folder.json(&["posts", "--state", "posted", "--json"]);
    posts.as_array().unwrap().iter().map(|post| post["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_flock_runs_in_a_container_and_continues_in_the_next() {
    let Some(containers) = ContainerStore::new() else { return };
    let flock = Folder::with(
        "[web]\nlisten = \"127.0.0.1:PORT\"\n\
         [bots.robin]\nnetwork = \"feed\"\npoem = \"robin.txt\"\nschedule = \"* * * * * *\"\n",
    );
    flock.write("robin.txt", (1..=500).map(|n| format!("line {n}\n")).collect::<String>().as_bytes());
    let place = flock.path(".");
    for path in [place.clone(), flock.path("flock.toml"), flock.path("robin.txt")] {
        chown(path, Some(USER), Some(USER)).unwrap();
    }
    containers.build();
    containers.run(&place);
    containers.is_healthy();
    ok(&containers.exec(&["flockd", "post", "robin", "by hand"]));
    let log = containers.stop();
    let last = events(&log).pop().unwrap();
    assert!(last["event"] == "stopped" && last["abandoned"].is_null(), "{log}");
    let before = posted(&flock);
    assert!(before.contains(&"by hand".to_owned()), "{before:?}");
    containers.run(&place);
    containers.is_healthy();
    ok(&containers.exec(&["flockd", "post", "robin", "again"]));
    containers.stop();
    let after = posted(&flock);
    assert!(after.ends_with(&before) && after.contains(&"again".to_owned()), "{after:?}");
}

#[test]
fn compose_is_hardened_and_matches_the_image_and_the_unit() {
    let text = fs::read_to_string(deploy("compose.yaml")).unwrap();
    let compose = &yaml_rust2::YamlLoader::load_from_str(&text).unwrap()[0];
    let flockd = &compose["services"]["flockd"];
    let image = fs::read_to_string(deploy("Dockerfile")).unwrap();
    let unit = fs::read_to_string(deploy("flockd.service")).unwrap();
    assert_eq!(flockd["read_only"].as_bool(), Some(true));
    assert_eq!(flockd["init"].as_bool(), Some(true));
    assert_eq!(flockd["cap_drop"][0].as_str(), Some("ALL"));
    assert_eq!(flockd["security_opt"][0].as_str(), Some("no-new-privileges:true"));
    assert_eq!(flockd["tmpfs"][0].as_str(), Some("/tmp"));
    assert_eq!(flockd["build"]["dockerfile"].as_str(), Some("deploy/Dockerfile"));
    assert_eq!(flockd["ports"][0].as_str(), Some("127.0.0.1:7878:7878"), "on this machine only");
    assert!(image.contains("EXPOSE 7878\n") && image.contains("VOLUME /flock\n"));
    assert!(image.contains("HEALTHCHECK") && image.contains("CMD [\"flockd\", \"health\"]\n"));
    assert!(image.contains(&format!("USER {USER}:{USER}\n")));
    assert_eq!(flockd["volumes"][0].as_str(), Some("../flock:/flock"));
    let stop = flockd["stop_grace_period"].as_str().unwrap().trim_end_matches('s');
    assert!(unit.contains(&format!("TimeoutStopSec={stop}\n")), "{stop}");
}

/// All secrets that a service names, and their files.
fn secrets(text: &str) -> Vec<(String, Option<String>)> {
    let compose = &yaml_rust2::YamlLoader::load_from_str(text).unwrap()[0];
    let named = compose["services"]["flockd"]["secrets"].as_vec().cloned().unwrap_or_default();
    let declared = compose["secrets"].as_hash().cloned().unwrap_or_default();
    let names = named.iter().chain(declared.keys()).map(|name| name.as_str().unwrap().to_owned());
    names.map(|name| (name.clone(), compose["secrets"][&*name]["file"].as_str().map(str::to_owned))).collect()
}

#[test]
fn compose_needs_no_secret_until_it_is_uncommented() {
    let text = fs::read_to_string(deploy("compose.yaml")).unwrap();
    assert_eq!(secrets(&text), [], "a flock of feed bots has none");
    let mut uncommented = text.clone();
    for setting in ["secrets:", "  x-consumer-secret:", "    file:"] {
        assert!(text.contains(&format!("#{setting}")), "{setting}");
        uncommented = uncommented.replace(&format!("#{setting}"), setting);
    }
    let uncommented = secrets(&uncommented);
    let one = ("x-consumer-secret".to_owned(), Some("../secrets/x-consumer-secret".to_owned()));
    assert_eq!(uncommented, [one.clone(), one]);
    // Nothing else on this machine has to exist first: the image is built from the repository, the flock is
    // created.
    let compose = &yaml_rust2::YamlLoader::load_from_str(&text).unwrap()[0];
    let flockd = compose["services"]["flockd"].as_hash().unwrap();
    for key in flockd.keys().filter_map(|key| key.as_str()) {
        assert!(!["configs", "env_file", "extends", "depends_on", "secrets"].contains(&key), "{key}");
    }
}
