use super::*;

/// `po/es.po` as gettext has it: texts and, behind those of one thing, of many.
struct Spanish(Vec<(String, Vec<String>)>);

impl Spanish {
    fn read() -> &'static Self {
        static READ: LazyLock<Spanish> = LazyLock::new(|| {
            let po = concat!(env!("CARGO_MANIFEST_DIR"), "/po/es.po");
            Spanish::parse(&std::fs::read_to_string(po).unwrap())
        });
        &READ
    }

    fn parse(po: &str) -> Self {
        let mut texts = Vec::new();
        for entry in po.split("\n\n") {
            let mut said: Vec<(&str, String)> = Vec::new();
            for line in entry.lines().filter(|line| !line.starts_with('#')) {
                let (kind, quoted) = line.split_once('"').unwrap();
                let text = quoted.strip_suffix('"').unwrap();
                let text = text.replace("\\\"", "\"").replace("\\n", "\n");
                match kind.trim() {
                    "" => said.last_mut().unwrap().1.push_str(&text),
                    kind => said.push((kind, text)),
                }
            }
            let translated = said.iter().filter(|(kind, _)| kind.starts_with("msgstr"));
            let translated: Vec<String> = translated.map(|(_, text)| text.clone()).collect();
            let originals = said.iter().filter(|(kind, _)| kind.starts_with("msgid"));
            texts.extend(originals.map(|(_, text)| (text.clone(), translated.clone())));
        }
        Self(texts)
    }

    fn find(text: &str) -> &'static [String] {
        let found = Self::read().0.iter().find(|(original, _)| original == text);
        &found.unwrap_or_else(|| panic!("{text:?} is not in po/es.po")).1
    }
}

const SPANISH: i18n::Language = i18n::Language {
    text: |text| Spanish::find(text)[0].clone(),
    number: |number, one, _| Spanish::find(one)[usize::from(number != 1)].replace("{n}", &number.to_string()),
};

fn in_spanish(sentence: &str) -> String {
    LIBRARY.translated(sentence, &SPANISH)
}

/// A text filled with these values.
fn filled(text: &str, names: &[&str], values: &[String]) -> String {
    let values: Vec<(&str, &dyn std::fmt::Display)> = (names.iter().zip(values))
        .map(|(name, value)| (*name, value as _))
        .collect();
    i18n::fill(text, &values)
}

#[test]
fn what_was_made_of_a_text_is_made_of_its_translation() {
    assert!(LIBRARY.texts.len() > 200, "{}", LIBRARY.texts.len());
    for text in &LIBRARY.texts {
        // Names that no text has, and no two alike.
        let values: Vec<String> = (0..text.names.len()).map(|at| format!("/ü{at}")).collect();
        let sentence = filled(text.whole, &text.names, &values);
        let expected = filled(&Spanish::find(text.whole)[0], &text.names, &values);
        assert_eq!(in_spanish(&sentence), expected, "{sentence}");
    }
}

#[test]
fn no_text_has_two_values_side_by_side() {
    // Nobody could say where one ends.
    for text in &LIBRARY.texts {
        let between = text.words.get(1..text.names.len()).unwrap_or_default();
        assert!(between.iter().all(|words| !words.is_empty()), "{}", text.whole);
    }
}

#[test]
fn causes_and_phrases_are_told_as_well() {
    let cases = [
        (
            "could not find the free space of /a b: Input/output error (os error 5)",
            "no se pudo averiguar el espacio libre de /a b: error de entrada/salida (error 5 del sistema)",
        ),
        (
            "could not open /read: Permission denied (os error 13).",
            "no se pudo abrir /read: permiso denegado (error 13 del sistema).",
        ),
        (
            "this is a zip archive, not a .torrent; unpack it and open the .torrent that is in it",
            "esto es un archivo zip, no un .torrent; descomprímalo y abra el .torrent que contiene",
        ),
        (
            "2 files were missing from /f and are fetched again; skip them to do without",
            "faltaban 2 archivos en /f y se descargan de nuevo; omítalos para prescindir de ellos",
        ),
        (
            "the tracker cannot be reached: Connection refused",
            "no se puede contactar con el rastreador: conexión rechazada",
        ),
    ];
    for (english, spanish) in cases {
        assert_eq!(in_spanish(english), spanish);
    }
}

#[test]
fn of_two_texts_the_one_that_says_more_is_meant() {
    let (text, _) = LIBRARY
        .texts
        .iter()
        .find_map(|text| Some((text, text.values("cannot read /a: no", &LIBRARY.phrases)?)))
        .unwrap();
    assert_eq!(text.whole, "cannot read {path}: {source}");
}

#[test]
fn names_stay_as_they_are() {
    let told = in_spanish("read is in the list already");
    assert!(told.contains("read"), "{told}");
}

#[test]
fn what_nobody_knows_stays_as_it_is() {
    for sentence in [
        "",
        ".",
        ": ",
        "{",
        "ünregistered torrent",
        "{0}",
        "a: b: c",
        "…: ….",
    ] {
        assert_eq!(in_spanish(sentence), sentence);
    }
    let book = "cannot read /a: ".repeat(1_000);
    assert_eq!(in_spanish(&book), book);
    // As deep as it goes, and as long.
    let deep = "the tracker says: ".repeat(MOST_BYTES / 18);
    assert!(in_spanish(&deep).ends_with("the tracker says: "));
}
