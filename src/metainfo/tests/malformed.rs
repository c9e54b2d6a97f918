use super::*;

#[test]
fn malformed_torrents_and_what_the_user_reads() {
    let huge = || file(i64::MAX, &[b"a"]);
    let one_file = |entry: BTreeMap<&'static str, Item<'static>>| folder([entry]);
    let without = |key| {
        let mut entry = file(1, &[b"a"]);
        entry.remove(key);
        folder([entry])
    };
    let deep: Vec<&'static [u8]> = vec![b"d"; MAX_COMPONENTS];
    let long: Vec<&'static [u8]> = vec![&[b'n'; 255]; 13];
    let table: Vec<(Vec<u8>, &str)> = vec![
        (b"".to_vec(), "the file is empty; fetch the torrent again"),
        (b"\n  \r\n".to_vec(), "the file is empty; fetch the torrent again"),
        (
            b"<!DOCTYPE html><html>".to_vec(),
            "this is a web page, not a .torrent; the site may want you to log in before it gives the file",
        ),
        (
            b"\xef\xbb\xbf\n<?xml".to_vec(),
            "this is a web page, not a .torrent; the site may want you to log in before it gives the file",
        ),
        (
            vec![b'd'; MAX_FILE_BYTES + 1],
            "the file is larger than 32 MiB, so it is no torrent",
        ),
        (
            b"M\x90".to_vec(),
            "this is not a torrent, or it is damaged: unexpected byte 0x4d at byte 0; fetch it again",
        ),
        (
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(),
            "this is a PNG image, not a .torrent",
        ),
        (
            [&b"\x89PNG\r\n\x1a\n"[..], &vec![0; MAX_FILE_BYTES]].concat(),
            "this is a PNG image, not a .torrent",
        ),
        (
            b"\x1f\x8b\x08\0".to_vec(),
            "this is a gzip archive, not a .torrent; unpack it and open the .torrent that is in it",
        ),
        (
            b"PK\x03\x04\x14\0".to_vec(),
            "this is a zip archive, not a .torrent; unpack it and open the .torrent that is in it",
        ),
        (
            b"\0\0\0\x20ftypisom".to_vec(),
            "this is an MP4 video, not a .torrent",
        ),
        (
            torrent(good_info())[..80].to_vec(),
            "this is not a torrent, or it is damaged: \
             a string of 60 bytes at byte 69 runs past the end of the data; fetch it again",
        ),
        (b"le".to_vec(), "this is not a torrent: it holds no dictionary"),
        (b"de".to_vec(), "the torrent is incomplete: info is missing"),
        (
            b"d4:infoi1ee".to_vec(),
            "the torrent is malformed: info is not a dictionary",
        ),
        (
            changed(&[("name", None)]),
            "the torrent is incomplete: name is missing",
        ),
        (
            changed(&[("name", int(1))]),
            "the torrent is malformed: name is not a string",
        ),
        (
            changed(&[("length", None)]),
            "the torrent is incomplete: the length of the file is missing",
        ),
        (
            changed(&[("length", int(-1))]),
            "file 1 of the torrent has no valid length",
        ),
        (
            changed(&[("length", Some("9".into()))]),
            "file 1 of the torrent has no valid length",
        ),
        (
            changed(&[("piece length", None)]),
            "the torrent is incomplete: piece length is missing",
        ),
        (
            changed(&[("piece length", Some("x".into()))]),
            "the torrent is malformed: piece length is not an integer",
        ),
        (
            changed(&[("piece length", int(0))]),
            "the torrent says that a piece has 0 bytes; it must be 1 to 268435456",
        ),
        (
            changed(&[("piece length", int(-16_384))]),
            "the torrent says that a piece has -16384 bytes; it must be 1 to 268435456",
        ),
        (
            changed(&[("piece length", int(268_435_457))]),
            "the torrent says that a piece has 268435457 bytes; it must be 1 to 268435456",
        ),
        (
            changed(&[("pieces", None)]),
            "the torrent is incomplete: pieces is missing",
        ),
        (
            changed(&[("pieces", int(1))]),
            "the torrent is malformed: pieces is not a string",
        ),
        (
            changed(&[("pieces", Some(vec![0; 59].into()))]),
            "the piece hashes take 59 bytes, which is not a multiple of 20",
        ),
        (
            changed(&[("pieces", Some(vec![0; 40].into()))]),
            "the torrent has the hashes of 2 pieces, but its files make 3",
        ),
        (
            changed(&[("pieces", Some(vec![0; 80].into()))]),
            "the torrent has the hashes of 4 pieces, but its files make 3",
        ),
        (
            changed(&[("length", int(i64::MAX)), ("piece length", int(1))]),
            "the torrent has the hashes of 3 pieces, but its files make 9223372036854775807",
        ),
        (
            changed(&[
                ("pieces", None),
                ("meta version", int(2)),
                ("file tree", Some(Item::dict([]))),
            ]),
            "this is a version 2 torrent, which DTorrent does not support yet; \
             look for a hybrid or version 1",
        ),
        (
            changed(&[("files", int(1))]),
            "the torrent is malformed: files is not a list",
        ),
        (
            changed(&[("files", Some(Item::List(Vec::new())))]),
            "the torrent has no files",
        ),
        (
            changed(&[("files", Some(Item::list([1])))]),
            "file 1 of the torrent is not described by a dictionary",
        ),
        (
            one_file(file(-1, &[b"a"])),
            "file 1 of the torrent has no valid length",
        ),
        (without("length"), "file 1 of the torrent has no valid length"),
        (without("path"), "file 1 of the torrent has no valid path"),
        (one_file(file(1, &[])), "file 1 of the torrent has no valid path"),
        (
            one_file(file(1, &[b"", b""])),
            "file 1 of the torrent has no valid path",
        ),
        (
            one_file(BTreeMap::from([("length", 1.into()), ("path", "a".into())])),
            "file 1 of the torrent has no valid path",
        ),
        (
            one_file(BTreeMap::from([("length", 1.into()), ("path", Item::list([1]))])),
            "file 1 of the torrent has no valid path",
        ),
        (
            one_file(file(1, &deep)),
            "the path of file 1 of the torrent is too long; \
             at most 64 folders and 3072 bytes can be created",
        ),
        (
            one_file(file(1, &long)),
            "the path of file 1 of the torrent is too long; \
             at most 64 folders and 3072 bytes can be created",
        ),
        (
            changed(&[(
                "files",
                Some(Item::List([huge(), huge(), huge()].map(Item::dict).into())),
            )]),
            "the files of the torrent are larger than any disk: their lengths cannot be added",
        ),
    ];
    for (bytes, message) in table {
        let shown = bytes[..bytes.len().min(120)].escape_ascii().to_string();
        let error = Metainfo::parse(&bytes).expect_err(&shown);
        assert_eq!(error.to_string(), message, "{shown}");
    }
}

#[test]
fn too_many_files_are_refused() {
    let entry = Item::dict(file(0, &[b"a"])).encode();
    let list = [b"l", &entry.repeat(MAX_FILES + 1)[..], b"e"].concat();
    let bytes = changed(&[
        ("files", Some(Item::Raw(list.into()))),
        ("pieces", Some(vec![].into())),
    ]);
    assert_eq!(Metainfo::parse(&bytes), Err(MetainfoError::TooManyFiles));
}
