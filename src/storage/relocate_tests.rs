use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::sync::Arc;

use tempfile::tempdir;

use super::*;
use crate::geometry::PieceIndex;
use crate::storage::fixture::{Tmpfs, Torrent};
use crate::storage::layout::FileIndex;
use crate::storage::task::CopyProgress;

static GO_ON: AtomicBool = AtomicBool::new(false);

fn torrent() -> Torrent {
    Torrent::new(
        &[("t/a", 20_000), ("t/none", 0), ("t/sub/deep/b", 30_001)],
        17_000,
    )
}

/// Writes everything, and opens the files for reading and writing.
fn filled(root: &Path) -> (Torrent, Arc<Storage>) {
    let torrent = torrent();
    let storage = torrent.storage(root);
    storage.prepare(|_| true, &Bitfield::empty(0)).unwrap();
    torrent.write_all(&storage);
    torrent.assert_readable(&storage);
    (torrent, storage)
}

/// Every path below a folder, links not followed.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.symlink_metadata().unwrap().is_dir() {
            found.extend(tree(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

fn verified(storage: &Storage) -> Bitfield {
    Bitfield::full(storage.layout().geometry().piece_count())
}

#[test]
fn a_move_within_a_file_system_renames_and_leaves_strangers_alone() {
    let folder = tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new/deeper"));
    let (torrent, storage) = filled(&old);
    fs::write(old.join("t/stranger"), "x").unwrap();
    let inode = fs::metadata(old.join("t/a")).unwrap().ino();
    storage.move_to(&new, &GO_ON).unwrap();
    assert_eq!(storage.root(), new);
    assert_eq!(fs::metadata(new.join("t/a")).unwrap().ino(), inode);
    assert_eq!(tree(&old), [old.join("t"), old.join("t/stranger")]);
    torrent.assert_readable(&storage);
    torrent.write_all(&storage);
    assert!(!old.join("t/a").exists());
}

#[test]
fn a_move_across_file_systems_copies_and_then_removes() {
    let Some(disk) = Tmpfs::new(1024) else { return };
    let folder = tempdir().unwrap();
    let old = folder.path().join("old");
    let (torrent, storage) = filled(&old);
    storage.move_to(&disk.path(), &GO_ON).unwrap();
    assert_eq!(storage.copy_progress(), None, "it is over");
    assert!(tree(&old).is_empty(), "{:?}", tree(&old));
    torrent.assert_readable(&storage);
    assert!(disk.path().join("t/none").is_file());
    // And back.
    storage.move_to(&old, &GO_ON).unwrap();
    torrent.assert_readable(&storage);
    assert!(tree(&disk.path()).is_empty());
}

#[test]
fn holes_are_copied_as_holes() {
    let Some(disk) = Tmpfs::new(512) else { return };
    let folder = tempdir().unwrap();
    let torrent = Torrent::new(&[("t/a", 4_000_000)], 100_000);
    let storage = torrent.storage(folder.path());
    let last = PieceIndex(39);
    torrent.write(&storage, last).unwrap();
    storage.move_to(&disk.path(), &GO_ON).unwrap();
    let mut found = vec![0; 100_000];
    storage.read(last, 0, &mut found).unwrap();
    assert_eq!(found, torrent.piece(last));
    assert_eq!(fs::metadata(disk.path().join("t/a")).unwrap().len(), 4_000_000);
}

#[test]
fn a_copy_tells_how_far_it_is() {
    let folder = tempdir().unwrap();
    let copying = Copying::default();
    let (source, target) = (folder.path().join("source"), folder.path().join("target"));
    // The hole in front and the one behind count like the data between.
    let file = File::create(&source).unwrap();
    file.write_all_at(&[7; 4096], 1 << 20).unwrap();
    file.set_len(3 << 20).unwrap();
    copying.begin(4 << 20);
    let target = File::create(target).unwrap();
    let source = File::open(source).unwrap();
    assert!(copy_data(&source, &target, (&copying, &GO_ON)).unwrap());
    let half_way = CopyProgress {
        copied: 3 << 20,
        total: 4 << 20,
    };
    assert_eq!(copying.progress(), Some(half_way));
    copying.begin(0);
    assert_eq!(copying.progress(), None);
}

#[test]
fn a_move_that_does_not_fit_or_is_interrupted_changes_nothing() {
    let Some(disk) = Tmpfs::new(32) else { return };
    let folder = tempdir().unwrap();
    let (torrent, storage) = filled(folder.path());
    let before = tree(folder.path());
    let full = storage.move_to(&disk.path(), &GO_ON).unwrap_err();
    assert!(full.is_disk_full(), "{full}");
    let grown = std::process::Command::new("mount")
        .args(["-o", "remount,size=1m"])
        .arg(disk.path())
        .status();
    assert!(grown.unwrap().success());
    for (given_up, interrupt) in [(false, true), (true, false)] {
        storage.give_move_up(given_up);
        let interrupted = storage
            .move_to(&disk.path(), &AtomicBool::new(interrupt))
            .unwrap_err();
        assert!(
            matches!(interrupted, StorageError::Interrupted { .. }),
            "{interrupted}"
        );
        assert!(tree(&disk.path()).is_empty());
    }
    assert_eq!(tree(folder.path()), before);
    assert_eq!(storage.root(), folder.path());
    torrent.assert_readable(&storage);
}

#[test]
fn a_file_in_the_way_stops_a_move_before_it_begins() {
    let folder = tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    let (torrent, storage) = filled(&old);
    let before = tree(&old);
    fs::create_dir_all(new.join("t/sub/deep")).unwrap();
    fs::write(new.join("t/sub/deep/b"), "theirs").unwrap();
    let conflict = storage.move_to(&new, &GO_ON).unwrap_err();
    assert!(
        matches!(&conflict, StorageError::Exists { path } if path.ends_with("t/sub/deep/b")),
        "{conflict}"
    );
    assert_eq!(
        (tree(&old), fs::read(new.join("t/sub/deep/b")).unwrap()),
        (before, b"theirs".to_vec())
    );
    torrent.assert_readable(&storage);
}

#[test]
fn a_failure_in_the_middle_of_renaming_is_undone() {
    let folder = tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    let (torrent, storage) = filled(&old);
    let before = tree(&old);
    // `t/a` can move; the folder of `t/sub/deep/b` cannot be made.
    fs::create_dir_all(new.join("t")).unwrap();
    fs::write(new.join("t/sub"), "a file").unwrap();
    storage.move_to(&new, &GO_ON).unwrap_err();
    assert_eq!(tree(&old), before);
    assert_eq!(tree(&new), [new.join("t"), new.join("t/sub")]);
    torrent.assert_readable(&storage);
}

/// A torrent whose files are in `old`, with the note of a move to `new` that a kill cut short.
struct CutShort {
    _home: tempfile::TempDir,
    old: PathBuf,
    new: PathBuf,
    torrent: Torrent,
    storage: Storage,
    note: MoveNote,
}

fn cut_short(phase: Phase) -> CutShort {
    let home = tempdir().unwrap();
    let (old, new) = (home.path().join("old"), home.path().join("new"));
    let (torrent, storage) = filled(&old);
    drop(storage);
    let note = MoveNote::at(home.path().join("x.move"));
    note.write(phase, &new).unwrap();
    fs::create_dir_all(new.join("t")).unwrap();
    let storage = Arc::into_inner(torrent.storage(&old)).unwrap();
    CutShort {
        storage: storage.with_move_note(note.clone()),
        _home: home,
        old,
        new,
        torrent,
        note,
    }
}

impl CutShort {
    fn finish(&self) -> Result<(), StorageError> {
        self.storage.finish_move(&self.note.read().unwrap())
    }

    fn copy_all(&self) {
        for file in &self.torrent.info.files {
            let path = file.path.join("/");
            fs::create_dir_all(self.new.join(&path).parent().unwrap()).unwrap();
            fs::copy(self.old.join(&path), self.new.join(&path)).unwrap();
        }
    }
}

#[test]
fn a_move_that_was_cut_short_between_two_files_is_brought_to_its_end() {
    let cut = cut_short(Phase::Renaming);
    fs::rename(cut.old.join("t/a"), cut.new.join("t/a")).unwrap();
    cut.finish().unwrap();
    assert_eq!(cut.storage.root(), cut.new);
    cut.torrent.assert_readable(&cut.storage);
    assert!(tree(&cut.old).is_empty());
    assert!(cut.note.read().is_some(), "until the record says so");
}

#[test]
fn a_move_that_had_not_begun_is_taken_back() {
    for is_there in [true, false] {
        let cut = cut_short(Phase::Renaming);
        if !is_there {
            fs::remove_dir_all(&cut.new).unwrap();
        }
        cut.finish().unwrap();
        assert_eq!(cut.storage.root(), cut.old);
        assert_eq!(cut.note.read(), None);
        cut.torrent.assert_readable(&cut.storage);
    }
}

#[test]
fn a_move_waits_for_a_disk_that_is_not_mounted() {
    let cut = cut_short(Phase::Renaming);
    fs::rename(cut.old.join("t/a"), cut.new.join("t/a")).unwrap();
    let away = cut.old.with_extension("unmounted");
    fs::rename(&cut.old, &away).unwrap();
    let error = cut.finish().unwrap_err().to_string();
    assert!(error.contains("is its disk mounted?"), "{error}");
    assert!(cut.note.read().is_some());
    fs::rename(&away, &cut.old).unwrap();
    cut.finish().unwrap();
    cut.torrent.assert_readable(&cut.storage);
}

#[test]
fn copies_that_were_cut_short_are_taken_back() {
    let cut = cut_short(Phase::Copying);
    fs::write(cut.new.join("t/a"), "half").unwrap();
    fs::write(cut.new.join("t/stranger"), "x").unwrap();
    cut.finish().unwrap();
    assert_eq!((cut.storage.root(), cut.note.read()), (cut.old.clone(), None));
    cut.torrent.assert_readable(&cut.storage);
    assert_eq!(tree(&cut.new), [cut.new.join("t"), cut.new.join("t/stranger")]);
}

#[test]
fn halves_of_copies_never_count_though_the_old_disk_is_away() {
    let cut = cut_short(Phase::Copying);
    fs::write(cut.new.join("t/a"), "half").unwrap();
    fs::remove_dir_all(&cut.old).unwrap();
    cut.finish().unwrap();
    assert_eq!(cut.storage.root(), cut.old);
    assert!(
        cut.new.join("t/a").exists(),
        "nothing is deleted that is nowhere else"
    );
}

#[test]
fn a_move_whose_copies_were_whole_counts() {
    let cut = cut_short(Phase::Copied);
    cut.copy_all();
    fs::remove_file(cut.old.join("t/a")).unwrap();
    cut.finish().unwrap();
    assert_eq!(cut.storage.root(), cut.new);
    cut.torrent.assert_readable(&cut.storage);
    assert!(tree(&cut.old).is_empty());
}

#[test]
fn a_move_leaves_a_note_until_the_record_names_the_folder_and_none_if_it_fails() {
    let cut = cut_short(Phase::Renaming);
    cut.note.clear().unwrap();
    fs::create_dir(cut.new.join("t/sub")).unwrap();
    fs::write(cut.new.join("t/sub/deep"), "in the way").unwrap();
    cut.storage.move_to(&cut.new, &GO_ON).unwrap_err();
    assert_eq!(cut.note.read(), None);
    fs::remove_file(cut.new.join("t/sub/deep")).unwrap();
    cut.storage.move_to(&cut.new, &GO_ON).unwrap();
    assert_eq!(cut.note.read().unwrap().to, cut.new);
}

#[test]
fn a_move_to_where_it_is_or_of_nothing() {
    let folder = tempdir().unwrap();
    let (torrent, storage) = filled(folder.path());
    storage.move_to(&folder.path().join("t/.."), &GO_ON).unwrap();
    torrent.assert_readable(&storage);
    let fresh = torrent.storage(&folder.path().join("never"));
    fresh.move_to(&folder.path().join("else"), &GO_ON).unwrap();
    torrent.write_all(&fresh);
    assert!(folder.path().join("else/t/a").is_file() && !folder.path().join("never").exists());
}

#[test]
fn removing_leaves_what_is_not_ours() {
    let folder = tempdir().unwrap();
    let (_, storage) = filled(folder.path());
    let outside = tempdir().unwrap();
    fs::write(outside.path().join("kept"), "x").unwrap();
    fs::write(folder.path().join("t/sub/stranger"), "x").unwrap();
    symlink(outside.path(), folder.path().join("t/link")).unwrap();
    storage.remove(&verified(&storage), false).unwrap();
    let root = folder.path();
    assert_eq!(
        tree(root),
        [
            root.join("t"),
            root.join("t/link"),
            root.join("t/sub"),
            root.join("t/sub/stranger")
        ]
    );
    assert!(outside.path().join("kept").exists());
}

#[test]
fn removing_leaves_a_file_that_only_has_our_name() {
    let folder = tempdir().unwrap();
    fs::create_dir(folder.path().join("t")).unwrap();
    fs::write(folder.path().join("t/a"), "somebody else's").unwrap();
    let torrent = torrent();
    let storage = torrent.storage(folder.path());
    torrent.write(&storage, PieceIndex(2)).unwrap();
    storage.remove(&Bitfield::empty(3), false).unwrap();
    assert_eq!(
        tree(folder.path()),
        [folder.path().join("t"), folder.path().join("t/a")]
    );
    storage.remove(&Bitfield::empty(3), false).unwrap();
    torrent
        .storage(Path::new("/does/not/exist"))
        .remove(&Bitfield::full(3), false)
        .unwrap();
}

#[test]
fn a_folder_that_became_a_link_is_not_removed_through() {
    let folder = tempdir().unwrap();
    let (old, outside) = (folder.path().join("old"), folder.path().join("outside"));
    let (_, storage) = filled(&old);
    fs::rename(old.join("t"), &outside).unwrap();
    symlink(&outside, old.join("t")).unwrap();
    for trash in [true, false] {
        storage.remove(&verified(&storage), trash).unwrap();
    }
    assert!(outside.join("a").is_file() && outside.join("sub/deep/b").is_file());
}

fn restore(taken: &[PathBuf]) -> Result<(), StorageError> {
    trash_can::restore(&[taken.to_vec()]).remove(0)
}

/// A file system of its own has a trash of its own, at its top: the user's is not touched.
#[test]
fn the_trash_takes_a_folder_of_ours_as_one_and_else_only_our_files() {
    let Some(disk) = Tmpfs::new(1024) else { return };
    let root = disk.path().join("downloads");
    let in_trash = || {
        let entries = disk.path().join(".Trash-0/files").read_dir().unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let (_, storage) = filled(&root);
    storage.remove(&verified(&storage), true).unwrap();
    assert_eq!(in_trash(), ["t"]);
    assert!(tree(&root).is_empty());

    let (_, storage) = filled(&root);
    fs::write(root.join("t/stranger"), "x").unwrap();
    storage.remove(&verified(&storage), true).unwrap();
    assert_eq!(in_trash(), ["a", "b", "none", "t"]);
    assert_eq!(tree(&root), [root.join("t"), root.join("t/stranger")]);
}

#[test]
fn the_trash_gives_back_what_it_took_last() {
    let Some(disk) = Tmpfs::new(1024) else { return };
    let root = disk.path().join("downloads");
    let (torrent, storage) = filled(&root);
    let whole = storage.remove(&verified(&storage), true).unwrap();
    assert_eq!(whole, [root.join("t")]);
    assert!(!root.join("t").exists());
    restore(&whole).unwrap();
    torrent.assert_readable(&storage);
    assert!(matches!(restore(&whole), Err(StorageError::NotInTrash { path }) if path == whole[0]));

    // With a stranger in the folder the files go one by one, and come back beside it.
    fs::write(root.join("t/stranger"), "x").unwrap();
    let files = storage.remove(&verified(&storage), true).unwrap();
    assert_eq!(files.len(), 3, "{files:?}");
    restore(&files).unwrap();
    torrent.assert_readable(&storage);

    // One that cannot come back keeps none of those after it in the trash.
    let mut files = storage.remove(&verified(&storage), true).unwrap();
    files.sort();
    fs::write(root.join("t/a"), "new").unwrap();
    let refused = restore(&files).unwrap_err();
    assert!(refused.to_string().contains("t/a"), "{refused}");
    assert!(root.join("t/none").exists() && root.join("t/sub/deep/b").exists());

    // What stands in the way stays as it is.
    fs::remove_file(root.join("t/stranger")).unwrap();
    let whole = storage.remove(&verified(&storage), true).unwrap();
    fs::create_dir(root.join("t")).unwrap();
    fs::write(root.join("t/a"), "new").unwrap();
    let refused = restore(&whole).unwrap_err();
    assert!(matches!(refused, StorageError::Restore { .. }), "{refused}");
    assert_eq!(fs::read_to_string(root.join("t/a")).unwrap(), "new");
}

#[test]
fn what_the_trash_does_not_take_stays() {
    let Some(disk) = Tmpfs::new(1024) else { return };
    let (torrent, storage) = filled(&disk.path().join("downloads"));
    // Where the trash would be, there is a file.
    fs::write(disk.path().join(".Trash-0"), "").unwrap();
    let refused = storage.remove(&verified(&storage), true).unwrap_err();
    assert!(matches!(refused, StorageError::Trash { .. }), "{refused}");
    torrent.assert_readable(&storage);
}

#[test]
fn what_the_trash_took_before_it_refused_something_is_back() {
    let Some(disk) = Tmpfs::new(1024) else { return };
    let root = disk.path().join("downloads");
    // The trash keeps a note under the name of each file and an ending: there is no room for that.
    let long = format!("t/{}", "x".repeat(250));
    let files = ["t/a", "t/b", "t/c", "t/d", "t/e", &long];
    let torrent = Torrent::new(&files.map(|name| (name, 20_000)), 17_000);
    let storage = torrent.storage(&root);
    storage.prepare(|_| true, &Bitfield::empty(0)).unwrap();
    torrent.write_all(&storage);
    // So that the files go one by one.
    fs::write(root.join("t/stranger"), "x").unwrap();
    let before = tree(&root);
    let refused = storage.remove(&verified(&storage), true).unwrap_err();
    assert!(matches!(refused, StorageError::Trash { .. }), "{refused}");
    assert_eq!(tree(&root), before);
    torrent.assert_readable(&storage);
}

#[test]
fn of_two_things_from_one_place_the_later_one_comes_back() {
    let Some(disk) = Tmpfs::new(1024) else { return };
    let root = disk.path().join("downloads");
    let mut taken = Vec::new();
    for content in ["earlier", "later"] {
        let (_, storage) = filled(&root);
        fs::write(root.join("t/none"), content).unwrap();
        taken = storage.remove(&verified(&storage), true).unwrap();
    }
    // Whichever of the notes is found first.
    let notes = disk.path().join(".Trash-0/info");
    for first in tree(&notes) {
        fs::rename(&first, notes.join("moved")).unwrap();
        fs::rename(notes.join("moved"), &first).unwrap();
        let note = fs::read_to_string(&first).unwrap();
        assert!(note.contains("\nDeletionDate=20"), "{note}");
        restore(&taken).unwrap();
        assert_eq!(fs::read_to_string(root.join("t/none")).unwrap(), "later");
        let (_, storage) = (torrent(), torrent().storage(&root));
        storage.mark_created((0..3).map(FileIndex));
        taken = storage.remove(&verified(&storage), true).unwrap();
    }
}
