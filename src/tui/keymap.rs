//! The one table of keys: what they mean where. Help and footer are printed from it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::action::{Action, Pane};

/// Where a key has its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Context {
    /// Everywhere but in dialogs.
    Global,
    /// While that pane has the focus; goes before `Global`.
    Pane(Pane),
    /// While a question is open.
    Question,
    /// While the help or a message is open.
    Reading,
    /// While an edit of the registry is shown.
    Registry,
    /// While the preflight page is open.
    Preflight,
    /// While a command is looked for by its name.
    Palette,
    /// While themes are tried on.
    Themes,
}

/// A key with the modifiers that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Char(char),
    Ctrl(char),
    Code(KeyCode),
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) keys: &'static [Key],
    pub(crate) action: Action,
    pub(crate) context: Context,
    /// One or two words for the footer; empty when the footer leaves it out.
    pub(crate) hint: &'static str,
    /// A sentence for the help.
    pub(crate) help: &'static str,
}

const fn bind(
    keys: &'static [Key],
    action: Action,
    context: Context,
    hint: &'static str,
    help: &'static str,
) -> Binding {
    Binding { keys, action, context, hint, help }
}

use Context::{Global, Palette, Preflight, Question, Reading, Registry, Themes};
use Key::{Char, Code, Ctrl};

const SERVICES: Context = Context::Pane(Pane::Services);
const DEPENDENCIES: Context = Context::Pane(Pane::Dependencies);
const DETAILS: Context = Context::Pane(Pane::Details);
const LOG: Context = Context::Pane(Pane::Log);
const EVENTS: Context = Context::Pane(Pane::Events);

/// In the order of help and footer.
pub(crate) const BINDINGS: &[Binding] = &[
    bind(&[Char('y'), Code(KeyCode::Enter)], Action::Confirm, Question, "do it", "do it"),
    bind(&[Char('f')], Action::Force, Question, "force", "force it, where that is offered"),
    bind(&[Code(KeyCode::Esc), Char('n'), Char('q')], Action::Back, Question, "leave it", "change nothing"),
    bind(&[Char('j'), Code(KeyCode::Down)], Action::Down, Reading, "", "down"),
    bind(&[Char('k'), Code(KeyCode::Up)], Action::Up, Reading, "", "up"),
    bind(&[Code(KeyCode::PageDown), Char(' ')], Action::PageDown, Reading, "more", "further"),
    bind(&[Code(KeyCode::PageUp)], Action::PageUp, Reading, "", "back a page"),
    bind(&[Code(KeyCode::Esc), Char('q'), Char('?'), Code(KeyCode::Enter)], Action::Back, Reading, "close", "close it"),
    bind(&[Char('a')], Action::ApplyEdit, Registry, "restart what changed", "restart what runs as it was before; asks"),
    bind(&[Char('e')], Action::EditRegistry, Registry, "edit", "open it in $VISUAL or $EDITOR"),
    bind(&[Char('L')], Action::ReloadRegistry, Registry, "", "read it again"),
    bind(&[Char('j'), Code(KeyCode::Down)], Action::Down, Registry, "", "down"),
    bind(&[Char('k'), Code(KeyCode::Up)], Action::Up, Registry, "", "up"),
    bind(&[Code(KeyCode::PageDown), Char(' ')], Action::PageDown, Registry, "", "further"),
    bind(&[Code(KeyCode::PageUp)], Action::PageUp, Registry, "", "back a page"),
    bind(&[Code(KeyCode::Esc), Char('q'), Code(KeyCode::Enter)], Action::Back, Registry, "leave it", "close it"),
    bind(&[Char('p')], Action::Preflight, Preflight, "look again", "look again"),
    bind(&[Char('j'), Code(KeyCode::Down)], Action::Down, Preflight, "", "down"),
    bind(&[Char('k'), Code(KeyCode::Up)], Action::Up, Preflight, "", "up"),
    bind(&[Code(KeyCode::PageDown), Char(' ')], Action::PageDown, Preflight, "more", "further"),
    bind(&[Code(KeyCode::PageUp)], Action::PageUp, Preflight, "", "back a page"),
    bind(&[Code(KeyCode::Esc), Char('q'), Code(KeyCode::Enter)], Action::Back, Preflight, "close", "close it"),
    bind(&[Code(KeyCode::Down), Ctrl('n')], Action::Down, Palette, "", "down"),
    bind(&[Code(KeyCode::Up), Ctrl('p')], Action::Up, Palette, "", "up"),
    bind(&[Code(KeyCode::PageDown)], Action::PageDown, Palette, "", "a page down"),
    bind(&[Code(KeyCode::PageUp)], Action::PageUp, Palette, "", "a page up"),
    bind(&[Code(KeyCode::Enter)], Action::Choose, Palette, "do it", "do it; what breaks something is asked first"),
    bind(&[Code(KeyCode::Esc)], Action::Back, Palette, "close", "close it"),
    bind(&[Char('j'), Code(KeyCode::Down), Char('T')], Action::Down, Themes, "", "the next one"),
    bind(&[Char('k'), Code(KeyCode::Up)], Action::Up, Themes, "", "the one before"),
    bind(&[Code(KeyCode::Enter)], Action::Choose, Themes, "keep", "keep it as long as the console is open"),
    bind(&[Code(KeyCode::Esc), Char('q')], Action::Back, Themes, "as before", "back to the one before"),
    bind(&[Char('j'), Code(KeyCode::Down)], Action::Down, Global, "", "down"),
    bind(&[Char('k'), Code(KeyCode::Up)], Action::Up, Global, "", "up"),
    bind(&[Char('g'), Code(KeyCode::Home)], Action::Top, Global, "", "to the top"),
    bind(&[Char('G'), Code(KeyCode::End)], Action::Bottom, Global, "", "to the bottom"),
    bind(&[Ctrl('d')], Action::HalfPageDown, Global, "", "half a page down"),
    bind(&[Ctrl('u')], Action::HalfPageUp, Global, "", "half a page up"),
    bind(&[Code(KeyCode::PageDown)], Action::PageDown, Global, "", "a page down"),
    bind(&[Code(KeyCode::PageUp)], Action::PageUp, Global, "", "a page up"),
    bind(&[Char('s'), Code(KeyCode::F(7))], Action::Start, Global, "start", "start it, what it needs first"),
    bind(&[Char('x'), Code(KeyCode::F(9))], Action::Stop, Global, "stop", "stop it; refused while something needs it"),
    bind(&[Char('r')], Action::Restart, Global, "restart", "restart it; what needs it keeps running"),
    bind(&[Char('R')], Action::RestartWithDependents, Global, "", "restart it with everything that needs it"),
    bind(&[Char('X')], Action::StopForced, Global, "force", "stop it whatever needs it, kill what stays; asks"),
    bind(&[Char('S')], Action::StartUnchecked, Global, "", "start it alone, without checks; asks"),
    bind(&[Char('a')], Action::StartAll, Global, "start all", "start every auto-start service"),
    bind(&[Ctrl('x')], Action::StopAll, Global, "", "stop everything, dependents first; asks"),
    bind(&[Ctrl('r')], Action::RestartAll, Global, "", "restart everything that runs; asks"),
    bind(&[Char(' ')], Action::Mark, SERVICES, "", "mark it: start, stop and restart then act on all that are marked"),
    bind(&[Char('*')], Action::MarkListed, SERVICES, "", "mark everything that is listed"),
    bind(&[Char('u')], Action::ClearMarks, SERVICES, "", "take all marks away"),
    bind(&[Char('/')], Action::Filter, SERVICES, "filter", "show matching services: words, is:failed, cat:dns, !not"),
    bind(
        &[Code(KeyCode::Enter), Char('i')],
        Action::OpenDetails,
        SERVICES,
        "details",
        "all details, as large as it goes",
    ),
    bind(&[Code(KeyCode::Enter)], Action::FollowLink, DEPENDENCIES, "go there", "select this service on the board"),
    bind(&[Code(KeyCode::Enter)], Action::Zoom, DETAILS, "", "as large as it goes, and back"),
    bind(&[Char('f'), Code(KeyCode::F(5))], Action::Follow, LOG, "follow", "follow new lines, or pause"),
    bind(&[Char('/')], Action::Search, LOG, "search", "look for an expression in the lines at hand"),
    bind(&[Char('n')], Action::NextMatch, LOG, "", "the next match, downwards"),
    bind(&[Char('N')], Action::PreviousMatch, LOG, "", "the match before"),
    bind(&[Char('&')], Action::FilterLog, LOG, "filter", "show matching lines alone, after ! all others"),
    bind(&[Char('w')], Action::Wrap, LOG, "wrap", "break long lines, or cut them"),
    bind(&[Char('t')], Action::Times, LOG, "", "hide or show the time in front of lines"),
    bind(&[Char('m')], Action::MarkLines, LOG, "", "mark lines from here to where you go"),
    bind(&[Char('y')], Action::CopyLines, LOG, "copy", "copy the marked lines, or those in sight"),
    bind(&[Ctrl('s')], Action::SaveLines, LOG, "save", "save the lines at hand to a new file"),
    bind(&[Code(KeyCode::Enter)], Action::Zoom, LOG, "", "as large as it goes, and back"),
    bind(&[Char('f'), Code(KeyCode::F(5))], Action::Follow, EVENTS, "follow", "follow what happens, or pause"),
    bind(&[Char('v')], Action::OnlySelected, EVENTS, "selected or all", "of the selected service alone, or of all"),
    bind(&[Code(KeyCode::Enter)], Action::Zoom, EVENTS, "", "as large as it goes, and back"),
    bind(&[Char('o')], Action::ShowOperation, Global, "progress", "show or hide what is under way"),
    bind(&[Char('c')], Action::CancelOperation, Global, "cancel", "give up waiting for the newest operation"),
    bind(&[Code(KeyCode::Tab)], Action::NextPane, Global, "pane", "next pane"),
    bind(&[Code(KeyCode::BackTab)], Action::PreviousPane, Global, "", "previous pane"),
    bind(&[Char('e')], Action::EditRegistry, Global, "edit", "edit the registry here, in $VISUAL or $EDITOR"),
    bind(&[Char('L')], Action::ReloadRegistry, Global, "", "read the registry again, show what changed"),
    bind(&[Char('p')], Action::Preflight, Global, "", "what keeps services from starting, and what to do"),
    bind(&[Char('1')], Action::Focus(Pane::Services), Global, "", "services"),
    bind(&[Char('2')], Action::Focus(Pane::Dependencies), Global, "", "dependencies"),
    bind(&[Char('3')], Action::Focus(Pane::Details), Global, "", "details"),
    bind(&[Char('4')], Action::Focus(Pane::Log), Global, "", "log"),
    bind(&[Char('5')], Action::Focus(Pane::Events), Global, "", "events: what happened, and who caused it"),
    bind(&[Char('l')], Action::ToggleOwnLog, Global, "", "the console's own log, or back"),
    bind(&[Char('z'), Code(KeyCode::F(4))], Action::Zoom, Global, "zoom", "this pane as large as it goes, and back"),
    bind(&[Char('T')], Action::Theme, Global, "", "try themes on"),
    bind(&[Code(KeyCode::Esc)], Action::Back, Global, "", "back: close, unzoom, clear the filter; never quits"),
    bind(&[Char(':'), Ctrl('p')], Action::Palette, Global, "commands", "every command, by its name"),
    bind(&[Char('?'), Code(KeyCode::F(1))], Action::Help, Global, "help", "this help"),
    bind(&[Char('q'), Ctrl('c')], Action::Quit, Global, "quit", "leave; services keep running"),
];

impl Key {
    /// The key of a terminal's report; modifiers that change nothing are left out.
    pub(crate) fn of(event: &KeyEvent) -> Self {
        match event.code {
            KeyCode::Char(c) if event.modifiers.contains(KeyModifiers::CONTROL) => Self::Ctrl(c.to_ascii_lowercase()),
            KeyCode::Char(c) => Self::Char(c),
            code => Self::Code(code),
        }
    }

    /// As help and footer print it.
    pub(crate) fn label(self) -> String {
        match self {
            Char(' ') => "Space".to_owned(),
            Char(c) => c.to_string(),
            Ctrl(c) => format!("Ctrl-{c}"),
            Code(KeyCode::F(n)) => format!("F{n}"),
            Code(KeyCode::BackTab) => "Shift-Tab".to_owned(),
            Code(KeyCode::PageUp) => "PgUp".to_owned(),
            Code(KeyCode::PageDown) => "PgDn".to_owned(),
            Code(code) => format!("{code:?}"),
        }
    }
}

/// What a key means in the given contexts, the first that knows it wins.
pub(crate) fn action(event: &KeyEvent, contexts: &[Context]) -> Option<Action> {
    let key = Key::of(event);
    // Leaving has to work whatever is open.
    if key == Ctrl('c') {
        return Some(Action::Quit);
    }
    contexts.iter().find_map(|context| {
        BINDINGS.iter().find(|binding| binding.context == *context && binding.keys.contains(&key)).map(|it| it.action)
    })
}

/// The key that is printed for an action, the first of its line.
pub(crate) fn key_of(action: Action) -> String {
    let binding = BINDINGS.iter().find(|binding| binding.action == action);
    binding.and_then(|binding| binding.keys.first()).map(|key| key.label()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{BINDINGS, Context, Key, action};
    use crate::tui::action::{Action, Pane};
    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

    #[test]
    fn no_key_means_two_things_in_one_place() {
        for (i, one) in BINDINGS.iter().enumerate() {
            for other in &BINDINGS[i + 1..] {
                let shared = one.keys.iter().find(|key| other.keys.contains(key));
                assert!(one.context != other.context || shared.is_none(), "{shared:?}: {one:?} and {other:?}");
            }
        }
    }

    #[test]
    fn a_pane_never_hides_the_keys_that_change_services() {
        let changing = ["s", "S", "x", "X", "r", "R", "a"];
        for binding in BINDINGS.iter().filter(|binding| matches!(binding.context, Context::Pane(_))) {
            for key in binding.keys {
                assert!(!changing.contains(&key.label().as_str()), "{binding:?}");
            }
        }
    }

    #[test]
    fn every_binding_has_a_key_and_help() {
        for binding in BINDINGS {
            assert!(!binding.keys.is_empty() && !binding.help.is_empty(), "{binding:?}");
        }
    }

    #[test]
    fn ctrl_c_quits_wherever_one_is() {
        let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(action(&key, &[Context::Question]), Some(Action::Quit));
        let enter = KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE);
        let contexts = [Context::Pane(Pane::Dependencies), Context::Global];
        assert_eq!(action(&enter, &contexts), Some(Action::FollowLink));
        assert_eq!(Key::of(&KeyEvent::new(KeyCode::Char('G'), KeyModifiers::SHIFT)), Key::Char('G'));
    }
}
