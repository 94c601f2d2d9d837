//! A node that cannot start says why and what to do, in one line.

use super::*;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

/// Any user that is not root and owns nothing.
const NOBODY: u32 = 65_534;

#[test]
fn a_second_daemon_on_the_same_data_hears_who_holds_it() {
    let folder = Folder::new();
    let node = Node::start(&folder);
    let line = refusal(&folder.path("dolmen.toml"));
    let holder = format!("is held by pid {} (dolmen serve)", node.pid());
    assert!(line.contains(&holder), "{line}");
    assert_eq!(get(node.operator(), "/health").status, 200);
}

#[test]
fn a_port_in_use_is_named_with_its_door() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let line = refusal(&folder.write_settings(&address, ""));
    let says = format!("the operator door cannot listen on {address}, which is in use");
    assert!(line.contains(&says), "{line}");
    assert!(line.contains("set doors.operator.listen"), "{line}");
    assert!(!folder.path("admin.sock").exists());
}

#[test]
fn a_data_folder_that_is_missing_or_a_file_is_named() {
    let folder = Folder::new();
    let settings = folder.write_settings("127.0.0.1:0", "");
    fs::remove_dir(folder.data()).unwrap();
    assert!(refusal(&settings).contains("data does not exist: make it"));
    fs::write(folder.data(), "a file").unwrap();
    assert!(refusal(&settings).contains("data is not a folder"));
}

/// As root the daemon is started as nobody, since root may write anywhere.
fn serve_without_privilege(folder: &Folder) -> Command {
    let settings = folder.write_settings("127.0.0.1:0", "");
    if !is_root() {
        let mut command = dolmen();
        command.args(["serve", "--config"]).arg(settings);
        return command;
    }
    // Where the build lies need not be open to nobody.
    let copy = folder.path("dolmen");
    // By another process: a test beside this one that starts a program would
    // inherit the copy open for writing, and the kernel runs no such file.
    let copied = Command::new("cp").arg(binary()).arg(&copy).status();
    assert!(copied.unwrap().success());
    let mut command = clean(Command::new(copy));
    command.args(["serve", "--config"]).arg(settings);
    command.uid(NOBODY).gid(NOBODY);
    command
}

#[test]
fn a_data_folder_without_the_right_to_write_is_named() {
    let folder = Folder::new();
    if is_root() {
        std::os::unix::fs::chown(folder.data(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    fs::set_permissions(folder.data(), fs::Permissions::from_mode(0o500)).unwrap();
    let line = refused(&mut serve_without_privilege(&folder));
    assert!(line.contains("cannot write in the data folder"), "{line}");
    assert!(line.contains("chmod it"), "{line}");
}

/// The files may be written, and no name be changed.
#[test]
fn a_log_in_a_folder_without_the_right_to_write_is_left_as_it_was() {
    let folder = Folder::new();
    Node::start(&folder).stop();
    if is_root() {
        let own = format!("chown -R {NOBODY}:{NOBODY} {}", folder.data().display());
        assert!(
            Command::new("sh")
                .args(["-c", &own])
                .status()
                .unwrap()
                .success()
        );
    }
    for part in ["data", "data/journal", "data/logs"] {
        fs::set_permissions(folder.path(part), fs::Permissions::from_mode(0o500)).unwrap();
    }
    let before = bad_data::tree(&folder);
    let line = refused(&mut serve_without_privilege(&folder));
    assert!(line.contains("cannot write in the data folder"), "{line}");
    assert_eq!(bad_data::tree(&folder), before);
    for part in ["data", "data/journal", "data/logs"] {
        fs::set_permissions(folder.path(part), fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn a_log_of_another_user_is_left_as_it_was() {
    if !is_root() {
        return; // only root has files that are another user's
    }
    let folder = Folder::new();
    Node::start(&folder).stop();
    let before = bad_data::tree(&folder);
    let line = refused(&mut serve_without_privilege(&folder));
    assert!(line.contains("belongs to uid 0 and this is uid"), "{line}");
    assert_eq!(bad_data::tree(&folder), before);
}

#[test]
fn a_data_folder_of_another_user_is_refused_with_both_named() {
    let folder = Folder::new();
    let mut command = serve_without_privilege(&folder);
    if !is_root() {
        command.args(["--set", "node.data=/"]);
    }
    let line = refused(&mut command);
    assert!(line.contains("belongs to uid 0 and this is uid"), "{line}");
}

#[test]
fn an_admin_socket_that_somebody_answers_is_left_alone() {
    let folder = Folder::new();
    let node = Node::start(&folder);
    let other = folder.path("other");
    fs::create_dir(&other).unwrap();
    let data = format!("node.data={}", other.display());
    let settings = folder.path("dolmen.toml");
    let mut command = dolmen();
    command
        .args(["serve", "--set", &data, "--config"])
        .arg(settings);
    let line = refused(&mut command);
    assert!(
        line.contains("another daemon answers on the admin socket"),
        "{line}"
    );
    assert_eq!(node.ask("status").unwrap()["pid"], node.pid());
}

#[test]
fn an_admin_socket_that_cannot_be_made_says_why() {
    let folder = Folder::new();
    let long = folder.path(&"a".repeat(120));
    let long = format!("admin.socket={}", long.display());
    let settings = folder.write_settings("127.0.0.1:0", "");
    let mut command = dolmen();
    command
        .args(["serve", "--set", &long, "--config"])
        .arg(settings);
    let line = refused(&mut command);
    assert!(line.contains("must be shorter than"), "{line}");

    let mut command = dolmen();
    command.args([
        "serve",
        "--set",
        "admin.socket=/nonexistent/admin.sock",
        "--config",
    ]);
    command.arg(folder.write_settings("127.0.0.1:0", ""));
    let line = refused(&mut command);
    assert!(line.contains("/nonexistent/admin.sock"), "{line}");
    assert!(line.contains("make its folder"), "{line}");
}

#[test]
fn a_file_in_the_place_of_the_admin_socket_is_left_alone() {
    let folder = Folder::new();
    let settings = folder.write_settings("127.0.0.1:0", "");
    fs::write(folder.path("admin.sock"), "somebody's letters").unwrap();
    assert!(refusal(&settings).contains("a file that is no socket has that name"));
    let letters = fs::read_to_string(folder.path("admin.sock")).unwrap();
    assert_eq!(letters, "somebody's letters");
}

#[test]
fn settings_that_are_wrong_are_named_with_their_place() {
    let folder = Folder::new();
    let settings = folder.write_settings("127.0.0.1:0", "node.dta = \"x\"");
    assert!(refusal(&settings).contains("node.dta"));
    fs::write(&settings, "[node]\ndata = /tmp\n").unwrap();
    let line = refusal(&settings);
    assert!(line.contains("dolmen.toml:2:8: "), "{line}");
    assert!(refusal(Path::new("/nonexistent.toml")).contains("/nonexistent.toml"));
}
