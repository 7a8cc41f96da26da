//! Goal: each language says all that the others say, in letters that are there. Method: the tables, against English.

use super::*;

/// The words in braces, sorted.
fn places(sentence: &str) -> Vec<&str> {
    let mut places: Vec<_> =
        sentence.split('{').skip(1).map(|part| part.split_once('}').expect("a closing brace").0).collect();
    places.sort_unstable();
    places
}

#[test]
fn a_sentence_stands_for_the_same_in_each_language() {
    for language in Language::ALL {
        let all = Language::English.sentences().list().into_iter().zip(language.sentences().list());
        for ((name, english), (_, said)) in all {
            assert_eq!(places(said), places(english), "{name} in {language:?}: `{said}`");
            assert!(!said.is_empty(), "{name} in {language:?}");
        }
    }
}

#[test]
fn the_fonts_have_all_letters_of_all_sentences() {
    for language in Language::ALL {
        for (name, said) in language.sentences().list() {
            let missing: Vec<_> = said.chars().filter(|letter| !text::has(*letter)).collect();
            assert!(missing.is_empty(), "{name} in {language:?}: {missing:?}");
        }
    }
}

#[test]
fn the_fonts_have_the_letters_of_europe_and_of_china() {
    let latin = "AZaz09!?.,:;'\"-()/ÄÖÜäöüßẞÀÉÈÊËàéèêëçÇñÑÅåØøÆæŒœ¿¡ĄąĆćĘęŁłŃńÓóŚśŹźŻżČčĎďĚěŇňŘřŠšŤťŮůŽžŐőŰűĂăÂâÎîȘșȚțĞğİıŞşÞþÐðĀāĒēĢģĪīĶķĻļŅņŪūĖėĮįŲųĊċĠġĦħŴŵŶŷЖжЯяЇїЄєΑαΩωώ€–—‘’“”„…";
    let chinese = "厨房门铃客厅卧室工作间张伟王芳李娜，。、：；！？（）《》";
    let missing: Vec<_> = latin.chars().chain(chinese.chars()).filter(|letter| !text::has(*letter)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_letter_that_is_missing_is_seen_to_be_missing() {
    let tibetan = "\u{f40}";
    assert!(!text::has('\u{f40}') && text::width(tibetan) > 0.3);
    let card = Card::Message { title: tibetan.into(), text: String::new() };
    let picture = drawn(&card, &Manner::default(), Size::new(320, 240));
    assert!(ink(&picture, Rect::of(picture.size()), ground(&picture)).is_some());
}

#[test]
fn the_language_is_that_of_the_locale() {
    for (locale, language) in [
        ("de_CH.UTF-8", Language::German),
        ("fr", Language::French),
        ("es_419.utf8@euro", Language::Spanish),
        ("zh_CN.GB18030", Language::Chinese),
        ("zh-Hant", Language::Chinese),
        ("EN_gb", Language::English),
        ("pt:es:en", Language::Spanish),
        ("C.UTF-8", Language::English),
        ("POSIX", Language::English),
        ("", Language::English),
        ("deutsch", Language::English),
        ("::__..", Language::English),
    ] {
        assert_eq!(Language::from_locale(locale), language, "`{locale}`");
    }
}

#[test]
fn durations_have_one_figure() {
    let said = [0, 119, 120, 7_199, 7_200, 172_799, 172_800].map(|seconds| Language::German.duration(seconds));
    assert_eq!(said, ["0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 Tage"]);
}
