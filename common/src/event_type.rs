//! What visitors do.

use std::fmt;
use std::sync::Arc;

/// An event's type: one of the built-in ones or a custom name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// A page was seen.
    PageView,
    /// A theme of the CV was chosen.
    CvThemeChange,
    /// A letter was generated; `event_data.letter_type` says which.
    LetterGenerate,
    /// The PDF was downloaded.
    PdfDownload,
    /// Something was clicked; `event_data.x` and `.y` say where.
    ButtonClick,
    /// A link was followed.
    LinkClick,
    /// A form was sent.
    FormSubmit,
    /// The page was scrolled.
    Scroll,
    /// The pointer rested on something.
    Hover,
    /// Any other name that follows [`EventType::RULE`].
    Custom(Arc<str>),
}

/// Built-in types, their names, and what older clients call them. A type's place here is its number in
/// stored events, which never changes.
const BUILT_IN: [(EventType, &str, Option<&str>); 9] = [
    (EventType::PageView, "page_view", Some("pageview")),
    (EventType::CvThemeChange, "cv_theme_change", Some("cv_theme_selected")),
    (EventType::LetterGenerate, "letter_generate", Some("letter_generated")),
    (EventType::PdfDownload, "pdf_download", Some("pdf_downloaded")),
    (EventType::ButtonClick, "button_click", Some("click")),
    (EventType::LinkClick, "link_click", None),
    (EventType::FormSubmit, "form_submit", None),
    (EventType::Scroll, "scroll", None),
    (EventType::Hover, "hover", None),
];

impl EventType {
    /// What a custom name may be, for error messages.
    pub const RULE: &'static str = "1 to 50 of a-z, 0-9, '_', '.', ':' and '-', starting with a letter";

    /// Parses a name or an alias of older clients; `None` when it breaks [`Self::RULE`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        for (event_type, name, alias) in &BUILT_IN {
            if *name == text || *alias == Some(text) {
                return Some(event_type.clone());
            }
        }
        let mut bytes = text.bytes();
        let valid = text.len() <= 50
            && bytes.next().is_some_and(|first| first.is_ascii_lowercase())
            && bytes.all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b':' | b'-'));
        valid.then(|| Self::Custom(text.into()))
    }

    /// Its name on the wire, in aggregates and in labels.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Custom(name) => name,
            built_in => built_in.static_name(),
        }
    }

    /// The name of a built-in type; `custom` for all others.
    pub(crate) const fn static_name(&self) -> &'static str {
        match self {
            Self::PageView => "page_view",
            Self::CvThemeChange => "cv_theme_change",
            Self::LetterGenerate => "letter_generate",
            Self::PdfDownload => "pdf_download",
            Self::ButtonClick => "button_click",
            Self::LinkClick => "link_click",
            Self::FormSubmit => "form_submit",
            Self::Scroll => "scroll",
            Self::Hover => "hover",
            Self::Custom(_) => "custom",
        }
    }

    /// The number under which engines store a built-in type.
    #[must_use]
    pub fn number(&self) -> Option<usize> {
        BUILT_IN.iter().position(|(built_in, ..)| built_in == self)
    }

    /// The built-in type of this number.
    #[must_use]
    pub fn from_number(number: usize) -> Option<Self> {
        BUILT_IN.get(number).map(|(built_in, ..)| built_in.clone())
    }

    /// Whether its `x` and `y` belong on the heatmap.
    #[must_use]
    pub const fn is_click(&self) -> bool {
        matches!(self, Self::ButtonClick | Self::LinkClick)
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stored events hold these numbers.
    #[test]
    fn numbers_of_built_in_types_never_change() {
        let names: Vec<_> = (0..9).map(|number| EventType::from_number(number).unwrap()).collect();
        assert_eq!(
            names.iter().map(EventType::name).collect::<Vec<_>>().join(" "),
            "page_view cv_theme_change letter_generate pdf_download button_click link_click form_submit scroll hover"
        );
        assert!(names.iter().enumerate().all(|(number, built_in)| built_in.number() == Some(number)));
        assert_eq!(EventType::from_number(9), None);
        assert_eq!(EventType::parse("signup").unwrap().number(), None);
    }

    #[test]
    fn names_and_aliases_agree() {
        for (event_type, name, alias) in &BUILT_IN {
            assert_eq!(event_type.name(), *name);
            assert_eq!(EventType::parse(name).as_ref(), Some(event_type));
            if let Some(alias) = alias {
                assert_eq!(EventType::parse(alias).as_ref(), Some(event_type));
            }
        }
    }

    #[test]
    fn custom_names() {
        for good in ["a", "signup.done:v2-x_1", &"a".repeat(50)] {
            assert_eq!(EventType::parse(good).unwrap().name(), good);
        }
        for bad in ["", "1a", "_a", "Signup", "a b", "é", &"a".repeat(51)] {
            assert_eq!(EventType::parse(bad), None, "{bad}");
        }
    }
}
