use std::path::Path;

use tempfile::tempdir;

use super::*;
use crate::bitfield::Bitfield;

const ONE: InfoHash = InfoHash::new([1; 20]);
const TWO: InfoHash = InfoHash::new([2; 20]);

fn record(pieces: &[u32]) -> ResumeRecord {
    let mut record = ResumeRecord::new(Path::new("/data"), 20);
    record.have = Bitfield::empty(20);
    for piece in pieces {
        record.have.insert(PieceIndex(*piece));
    }
    record
}

fn only(state: &StateDir) -> Loaded {
    let mut loaded = state.load_all();
    assert_eq!(loaded.len(), 1, "{loaded:?}");
    loaded.remove(0)
}

#[test]
fn torrents_come_back_in_their_order() {
    let folder = tempdir().unwrap();
    let state = StateDir::open(folder.path()).unwrap();
    for (hash, raw) in [(ONE, "one"), (TWO, "two")] {
        state.save_torrent(hash, raw.as_bytes()).unwrap();
        state.save_resume(hash, &record(&[3])).unwrap();
    }
    state
        .save_order(&[TWO, ONE, TWO, InfoHash::new([9; 20])])
        .unwrap();
    drop(state);
    let state = StateDir::open(folder.path()).unwrap();
    let loaded = state.load_all();
    let names: Vec<_> = loaded
        .iter()
        .map(|torrent| torrent.metainfo_bytes.as_slice())
        .collect();
    assert_eq!(names, [b"two", b"one"]);
    assert!(
        loaded
            .iter()
            .all(|torrent| torrent.record == Some(record(&[3])) && torrent.problem.is_none())
    );

    state.forget(TWO).unwrap();
    assert_eq!(only(&state).info_hash, ONE);
    state.forget(ONE).unwrap();
    state.forget(ONE).unwrap();
    for hash in [ONE, TWO, TWO] {
        state.forget_run(hash).unwrap();
    }
    assert_eq!(fs::read_dir(folder.path().join("torrents")).unwrap().count(), 0);
}

#[test]
fn what_is_kept_of_a_new_run_outlives_the_rest_of_the_old_one() {
    let folder = tempdir().unwrap();
    let state = StateDir::open(folder.path()).unwrap();
    state.journal(ONE).unwrap().append(&[PieceIndex(3)]).unwrap();
    state.forget_run(ONE).unwrap();
    let new = state.journal(ONE).unwrap();
    assert_eq!(new.pieces(), []);
    new.append(&[PieceIndex(4)]).unwrap();
    state.forget(ONE).unwrap();
    drop((new, state));
    let state = StateDir::open(folder.path()).unwrap();
    assert_eq!(state.journal(ONE).unwrap().pieces(), [PieceIndex(4)]);
}

#[test]
fn a_second_instance_is_told_who_holds_it() {
    let folder = tempdir().unwrap();
    let first = StateDir::open(folder.path()).unwrap();
    let second = StateDir::open(folder.path()).unwrap_err();
    let own = std::process::id();
    assert!(
        matches!(second, StateError::HeldBy { pid, .. } if pid == own),
        "{second}"
    );
    assert!(second.to_string().contains(&own.to_string()));
    drop(first);
    // What a killed instance left behind holds nobody up.
    fs::write(folder.path().join("lock"), "not a number").unwrap();
    StateDir::open(folder.path()).unwrap();
}

#[test]
fn a_damaged_record_falls_back_and_never_costs_the_torrent() {
    let folder = tempdir().unwrap();
    let state = StateDir::open(folder.path()).unwrap();
    state.save_torrent(ONE, b"one").unwrap();
    state.save_resume(ONE, &record(&[3])).unwrap();
    state.save_resume(ONE, &record(&[3, 4])).unwrap();
    state.save_order(&[ONE]).unwrap();
    let path = state.file(ONE, "resume");
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x11;
        fs::write(&path, damaged).unwrap();
        let loaded = only(&state);
        assert_eq!(loaded.record, Some(record(&[3])), "byte {at}");
        assert!(
            loaded.candidates.contains(&PieceIndex(4)) && loaded.problem.is_some(),
            "byte {at}"
        );
    }
    fs::write(beside(&path, "old"), b"").unwrap();
    assert_eq!(only(&state).record, None);
    fs::write(folder.path().join("session"), b"\0\0").unwrap();
    assert_eq!(only(&state).metainfo_bytes, b"one");
    // The next save heals it.
    state.save_resume(ONE, &record(&[5])).unwrap();
    assert_eq!(only(&state).record, Some(record(&[5])));
}

#[test]
fn a_kill_between_any_two_steps_of_a_save_leaves_a_record() {
    let folder = tempdir().unwrap();
    let state = StateDir::open(folder.path()).unwrap();
    state.save_torrent(ONE, b"one").unwrap();
    state.save_resume(ONE, &record(&[3])).unwrap();
    let path = state.file(ONE, "resume");
    fs::write(beside(&path, "new"), b"torn").unwrap();
    assert_eq!(only(&state).record, Some(record(&[3])));
    fs::rename(&path, beside(&path, "old")).unwrap();
    let loaded = only(&state);
    assert_eq!((loaded.record, loaded.problem), (Some(record(&[3])), None));
}

#[test]
fn strange_files_in_the_directory_are_passed_over() {
    let folder = tempdir().unwrap();
    let state = StateDir::open(folder.path()).unwrap();
    state.save_torrent(ONE, b"one").unwrap();
    let torrents = folder.path().join("torrents");
    for name in ["notes.txt", "zz.torrent", ".torrent", "x"] {
        fs::write(torrents.join(name), b"?").unwrap();
    }
    fs::create_dir(torrents.join(format!("{TWO}.torrent"))).unwrap();
    fs::create_dir(state.file(ONE, "resume")).unwrap();
    let loaded = state.load_all();
    assert_eq!(loaded.len(), 2);
    assert!(loaded[0].metainfo_bytes == b"one" && loaded[0].record.is_none());
    assert!(loaded[1].metainfo_bytes.is_empty() && loaded[1].problem.is_some());
}

#[test]
fn the_journal_names_what_the_record_does_not_cover() {
    let folder = tempdir().unwrap();
    let state = StateDir::open(folder.path()).unwrap();
    state.save_torrent(ONE, b"one").unwrap();
    let journal = state.journal(ONE).unwrap();
    for piece in [7, 3, 7, 5] {
        journal.append(&[PieceIndex(piece)]).unwrap();
    }
    state.save_resume(ONE, &record(&[3, 7])).unwrap();
    journal.append(&[PieceIndex(8)]).unwrap();
    drop((journal, state));
    let state = StateDir::open(folder.path()).unwrap();
    assert_eq!(only(&state).candidates, [PieceIndex(5), PieceIndex(8)]);
}
