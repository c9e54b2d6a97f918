use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::AtomicUsize;

use sha1::{Digest, Sha1};
use tempfile::TempDir;

use super::*;

/// A folder of these files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    dir
}

fn options(path: &Path) -> CreateOptions {
    CreateOptions {
        path: path.to_owned(),
        ..CreateOptions::default()
    }
}

fn create_quietly(options: &CreateOptions) -> Result<Metainfo, CreateError> {
    create(options, |_, _| {}, &AtomicBool::new(false))
}

fn refusal(path: &Path) -> String {
    let message = create_quietly(&options(path)).unwrap_err().to_string();
    message.replace(path.to_str().unwrap(), "PATH")
}

#[test]
fn a_folder_in_the_order_of_its_names() {
    let big = vec![5; 40_000];
    let dir = folder(&[
        ("top/sub/z", b"zz"),
        ("top/sub/a", &big),
        ("top/sub.txt", b"1"),
        ("top/B", b"b"),
        ("top/.hidden", b"h"),
        ("top/empty", b""),
        ("top/ünï ☃", b"u"),
    ]);
    std::fs::create_dir(dir.path().join("top/nothing")).unwrap();
    let metainfo = create_quietly(&options(&dir.path().join("top"))).unwrap();
    let info = &metainfo.info;
    let shown: Vec<_> = info
        .files
        .iter()
        .map(|file| (file.path.join("/"), file.length))
        .collect();
    let expected = [
        ("top/.hidden", 1),
        ("top/B", 1),
        ("top/empty", 0),
        ("top/sub/a", 40_000),
        ("top/sub/z", 2),
        ("top/sub.txt", 1),
        ("top/ünï ☃", 1),
    ];
    assert_eq!(shown, expected.map(|(path, length)| (path.to_owned(), length)));
    let bytes = [b"hb", &big[..], b"zz1u"].concat();
    let hashes: Vec<[u8; 20]> = bytes
        .chunks(16_384)
        .map(|piece| Sha1::digest(piece).into())
        .collect();
    assert_eq!(info.piece_hashes, hashes);
    assert!(info.multi_file && !info.private);
}

#[test]
fn one_file_and_all_options() {
    let dir = folder(&[("one.bin", b"x")]);
    let options = CreateOptions {
        piece_length: Some(65_536),
        trackers: vec![
            vec!["http://a/announce".into(), "udp://b:1".into()],
            vec!["https://c/".into()],
        ],
        web_seeds: vec!["http://w/one.bin".into(), "https://v/".into()],
        comment: Some("a comment".into()),
        private: true,
        ..options(&dir.path().join("one.bin"))
    };
    let metainfo = create_quietly(&options).unwrap();
    assert_eq!(metainfo.info.files.len(), 1);
    assert_eq!(metainfo.info.geometry.piece_length(), 65_536);
    assert_eq!(metainfo.info.piece_hashes, [<[u8; 20]>::from(Sha1::digest(b"x"))]);
    assert_eq!(metainfo.tiers, options.trackers);
    assert_eq!(metainfo.web_seeds, options.web_seeds);
    assert_eq!(metainfo.comment, options.comment);
    assert!(metainfo.info.private && !metainfo.info.multi_file);
    assert!(metainfo.creation_date.is_some());
}

#[test]
fn a_folder_of_one_file_is_still_a_folder() {
    let dir = folder(&[("top/a", b"x")]);
    let info = create_quietly(&options(&dir.path().join("top/."))).unwrap().info;
    assert!(info.multi_file);
    assert_eq!(info.files[0].path, ["top", "a"]);
}

#[test]
fn what_is_refused_and_how() {
    let dir = folder(&[("void/empty", b"")]);
    let path = |name: &str| dir.path().join(name);
    std::fs::create_dir_all(path("none/inner")).unwrap();
    std::fs::create_dir_all(path("pipe")).unwrap();
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        path("pipe/p"),
        rustix::fs::FileType::Fifo,
        mode,
        0,
    )
    .unwrap();
    assert_eq!(
        refusal(&path("none")),
        "PATH holds no files, so there is nothing to share"
    );
    assert_eq!(
        refusal(&path("void")),
        "PATH holds no data: a torrent needs at least one byte"
    );
    assert_eq!(
        refusal(&path("void/empty")),
        "PATH holds no data: a torrent needs at least one byte"
    );
    assert_eq!(
        refusal(&path("gone")),
        "cannot read PATH: No such file or directory (os error 2)"
    );
    assert_eq!(
        refusal(&path("pipe")),
        "PATH/p is neither a file nor a folder; move it out of the way and try again"
    );
}

#[test]
fn names_that_no_torrent_can_hold() {
    use std::os::unix::ffi::OsStrExt;
    let dir = folder(&[("top/a", b"x")]);
    std::fs::write(
        dir.path().join("top").join(std::ffi::OsStr::from_bytes(b"\xff")),
        b"x",
    )
    .unwrap();
    assert_eq!(
        refusal(&dir.path().join("top")),
        "the name of PATH/\u{fffd} is not valid UTF-8; rename it and try again"
    );
}

#[test]
fn links_are_followed_but_not_in_circles() {
    let dir = folder(&[("top/a", b"aa"), ("other/inner/b", b"bbb")]);
    let top = dir.path().join("top");
    symlink("a", top.join("file")).unwrap();
    symlink("../other", top.join("folder")).unwrap();
    let info = create_quietly(&options(&top)).unwrap().info;
    let shown: Vec<_> = info
        .files
        .iter()
        .map(|file| (file.path.join("/"), file.length))
        .collect();
    let expected = [("top/a", 2), ("top/file", 2), ("top/folder/inner/b", 3)];
    assert_eq!(shown, expected.map(|(path, length)| (path.to_owned(), length)));

    symlink("..", dir.path().join("other/back")).unwrap();
    assert!(matches!(
        create_quietly(&options(&top)),
        Err(CreateError::Loop(_))
    ));
    std::fs::remove_file(dir.path().join("other/back")).unwrap();
    symlink("nowhere", top.join("broken")).unwrap();
    assert_eq!(
        refusal(&top),
        "cannot read PATH/broken: No such file or directory (os error 2)"
    );
}

#[test]
fn a_link_that_could_not_be_followed_while_sharing_is_refused() {
    let dir = folder(&[("in/top/a", b"aa"), ("in/beside", b"b"), ("out", b"c")]);
    let (above, beside) = (dir.path().join("in"), dir.path().join("in/beside"));
    let top = above.join("top");
    let link = top.join("link");
    let targets = [
        Path::new("../../out"),
        &dir.path().join("out"),
        // These lead back in, but not without leaving first.
        &beside,
        Path::new("../../in/beside"),
    ];
    for target in targets {
        symlink(target, &link).unwrap();
        let error = create_quietly(&options(&top)).unwrap_err();
        let CreateError::Outside { link: named, folder } = &error else {
            panic!("{target:?}: {error}");
        };
        assert_eq!((named, folder), (&link, &above), "{target:?}");
        std::fs::remove_file(&link).unwrap();
    }
    symlink("../beside", &link).unwrap();
    assert!(create_quietly(&options(&top)).is_ok());
    symlink(&top, above.join("all")).unwrap();
    assert!(matches!(
        create_quietly(&options(&above.join("all"))),
        Err(CreateError::Outside { .. })
    ));
}

#[test]
fn piece_lengths_that_others_refuse() {
    let dir = folder(&[("a", b"x")]);
    for (length, accepted) in [
        (0, false),
        (8192, false),
        (16_384, true),
        (20_000, false),
        (MAX_PIECE_LENGTH, true),
        (MAX_PIECE_LENGTH * 2, false),
    ] {
        let options = CreateOptions {
            piece_length: Some(length),
            ..options(&dir.path().join("a"))
        };
        assert_eq!(create_quietly(&options).is_ok(), accepted, "{length}");
    }
}

#[test]
fn the_chosen_piece_length_grows_with_the_data() {
    const MIB: u64 = 1024 * 1024;
    let table = [
        (1, 16 * 1024),
        (2000 * 16 * 1024, 16 * 1024),
        (2000 * 16 * 1024 + 1, 32 * 1024),
        (700 * MIB, 512 * 1024),
        (4096 * MIB, 4 * 1024 * 1024),
        (u64::MAX, 16 * 1024 * 1024),
    ];
    for (total, length) in table {
        assert_eq!(choose_piece_length(total), length, "{total}");
    }
}

#[test]
fn urls_are_checked_before_anything_is_read() {
    for url in [
        "tracker.example/announce",
        "",
        "http://",
        "htp://x/",
        "http://a b/",
        "http://a/\n",
        "http:///announce",
        "udp://:6969",
    ] {
        let trackers = vec![vec![url.to_owned()]];
        let options = CreateOptions {
            trackers,
            ..options(Path::new("/nonexistent"))
        };
        assert!(
            matches!(create_quietly(&options), Err(CreateError::TrackerUrl(_))),
            "{url:?}"
        );
    }
    let portless = CreateOptions {
        trackers: vec![vec!["udp://x".into()]],
        ..options(Path::new("/nonexistent"))
    };
    assert_eq!(
        create_quietly(&portless).unwrap_err().to_string(),
        "\"udp://x\": the URL of a udp tracker needs a port"
    );
    let options = CreateOptions {
        web_seeds: vec!["udp://x:1".into()],
        ..options(Path::new("/nonexistent"))
    };
    assert_eq!(
        create_quietly(&options).unwrap_err().to_string(),
        "\"udp://x:1\" is not a URL of a web seed, such as https://example.org/files/"
    );
}

#[test]
fn progress_ends_at_the_whole() {
    let dir = folder(&[("a", &[1; 100_000])]);
    let (most, calls) = (AtomicU64::new(0), AtomicUsize::new(0));
    let progress = |hashed, total| {
        assert_eq!(total, 100_000);
        most.fetch_max(hashed, Ordering::Relaxed);
        calls.fetch_add(1, Ordering::Relaxed);
    };
    create(&options(&dir.path().join("a")), progress, &AtomicBool::new(false)).unwrap();
    assert_eq!((most.into_inner(), calls.into_inner()), (100_000, 7));
}

#[test]
fn it_can_be_cancelled() {
    let dir = folder(&[("a", &[1; 1_000_000])]);
    let cancelled = AtomicBool::new(false);
    let progress = |_, _| cancelled.store(true, Ordering::Relaxed);
    let result = create(&options(&dir.path().join("a")), progress, &cancelled);
    assert!(matches!(result, Err(CreateError::Cancelled)), "{result:?}");
}

#[test]
fn data_that_changes_meanwhile_is_noticed() {
    type Change = fn(&Path);
    let table: [(&str, Change); 4] = [
        ("shorter", |path| std::fs::write(path, [1; 10]).unwrap()),
        ("longer", |path| std::fs::write(path, [1; 300_000]).unwrap()),
        ("rewritten", |path| {
            let file = File::options().write(true).open(path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }),
        ("gone", |path| std::fs::remove_file(path).unwrap()),
    ];
    for (name, change) in table {
        let dir = folder(&[("a", &[1; 200_000])]);
        let path = dir.path().join("a");
        let once = std::sync::Once::new();
        let progress = |_, _| once.call_once(|| change(&path));
        let result = create(&options(&path), progress, &AtomicBool::new(false));
        let noticed = match name {
            "gone" => matches!(result, Err(CreateError::Read { .. })),
            _ => matches!(result, Err(CreateError::Changed(_))),
        };
        assert!(noticed, "{name}: {result:?}");
    }
}

#[test]
fn what_is_saved_is_whole_and_replaces_only_on_request() {
    let dir = folder(&[("a", b"x"), ("out/old.torrent", b"old")]);
    let metainfo = create_quietly(&options(&dir.path().join("a"))).unwrap();
    let out = dir.path().join("out");
    let old = out.join("old.torrent");
    assert!(matches!(
        save(&metainfo, &old, Existing::Keep),
        Err(CreateError::Exists(_))
    ));
    assert_eq!(std::fs::read(&old).unwrap(), b"old");
    save(&metainfo, &old, Existing::Replace).unwrap();
    save(&metainfo, &out.join("new.torrent"), Existing::Keep).unwrap();
    for name in ["old.torrent", "new.torrent"] {
        assert_eq!(
            Metainfo::parse(&std::fs::read(out.join(name)).unwrap()).unwrap(),
            metainfo
        );
    }
    let missing = save(&metainfo, &dir.path().join("none/x.torrent"), Existing::Keep).unwrap_err();
    assert!(matches!(missing, CreateError::Write { .. }), "{missing}");
    assert!(matches!(
        save(&metainfo, &out, Existing::Replace),
        Err(CreateError::Write { .. })
    ));
    assert_eq!(
        std::fs::read_dir(&out).unwrap().count(),
        2,
        "nothing temporary is left"
    );
}

#[test]
fn a_rename_never_replaces_what_came_in_between() {
    let dir = folder(&[("new", b"new"), ("old", b"old")]);
    let (new, old) = (dir.path().join("new"), dir.path().join("old"));
    let error = save::rename_to_new(&new, &old).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(&old).unwrap(), b"old");
}
