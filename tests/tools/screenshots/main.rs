//! Takes pictures of the real program: `cargo build && cargo run --example screenshots`.
//!
//! Runs `provisioning-tui --demo` in a pseudo-terminal at each size, waits until the screen shows what the picture is for, and
//! writes the cells as `screenshots/<name>.png`. With arguments, runs that program instead and takes its
//! picture when it has ended or stopped writing for a second: `… -- <name> <columns>x<rows> <program> [argument …]`.
//!
//! The fonts *DejaVu Sans Mono* and *Noto Color Emoji* must be installed (Debian: `fonts-dejavu-core`, `fonts-noto-color-emoji`).

mod draw;
mod glyphs;
mod palette;
mod terminal;

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use resvg::usvg::fontdb::Database;
use resvg::{tiny_skia, usvg};
use terminal::{Terminal, contents, rows};

/// Pixels of the PNG for one unit of the SVG: sharp on a dense screen.
const SCALE: f32 = 2.0;

/// The demo comes up, and has its first bad spell, well within this.
const PATIENCE: Duration = Duration::from_secs(60);

/// One picture of the demo.
struct Shot {
    name: &'static str,
    columns: u16,
    rows: u16,
    /// What is pressed once the board is there.
    keys: &'static str,
    /// What the picture shows, in words and as a test.
    fact: &'static str,
    shows: fn(&vt100::Screen) -> bool,
}

const SHOTS: [Shot; 4] = [
    Shot {
        name: "demo-80x24",
        columns: 80,
        rows: 24,
        keys: "",
        fact: "everything runs, with some history behind it",
        // The gateway needs almost everybody, so it comes up last.
        shows: |screen| row_shows(screen, "api-gateway", |row| row.contains("running") && n_bars(row) >= 6),
    },
    Shot {
        name: "demo-120x40",
        columns: 120,
        rows: 40,
        keys: "jjj",
        fact: "gitea is selected and has, or had, its bad spell: whoever leads may have restarted it by then",
        shows: |screen| row_shows(screen, "gitea", |row| row.contains('\u{274c}') || row.contains('\u{2717}')),
    },
    Shot {
        name: "log-search-120x40",
        columns: 120,
        rows: 40,
        keys: "4z/workflow\r",
        fact: "the log is as large as it goes, and what is looked for stands out in it",
        shows: |screen| row_shows(screen, "/workflow", |row| row.contains("9 lines")),
    },
    Shot {
        name: "light-120x40",
        columns: 120,
        rows: 40,
        keys: "Tj\r",
        fact: "another theme is on, and everything runs with some history behind it",
        shows: |screen| row_shows(screen, "api-gateway", |row| row.contains("running") && n_bars(row) >= 6),
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.as_slice() {
        [] => SHOTS.iter().try_for_each(take_demo),
        [name, size, program, arguments @ ..] => take_any(name, size, program, arguments),
        _ => Err("takes nothing, or NAME COLUMNSxROWS PROGRAM [ARGUMENT …]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(std::io::stderr().lock(), "{error}"));
            ExitCode::FAILURE
        }
    }
}

fn take_demo(shot: &Shot) -> Result<(), Box<dyn Error>> {
    let program = built_program()?;
    let mut terminal = Terminal::run(&program, &["--demo".to_owned()], shot.columns, shot.rows)?;
    terminal.wait_until("the board", PATIENCE, |screen| row_shows(screen, "api-gateway", |_| true))?;
    terminal.press(shot.keys)?;
    terminal.wait_until(shot.fact, PATIENCE, shot.shows)?;
    save(shot.name, terminal.screen())?;
    terminal.end()
}

fn take_any(name: &str, size: &str, program: &str, arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let (columns, rows) = size.split_once('x').ok_or("a size is COLUMNSxROWS")?;
    let mut terminal = Terminal::run(Path::new(program), arguments, columns.parse()?, rows.parse()?)?;
    terminal.settle(Duration::from_secs(1))?;
    save(name, terminal.screen())?;
    terminal.end()
}

/// Whether a row that holds `text` is as `as_wanted` says.
fn row_shows(screen: &vt100::Screen, text: &str, as_wanted: impl Fn(&str) -> bool) -> bool {
    rows(screen).any(|row| row.contains(text) && as_wanted(&row))
}

/// How many cells of a sparkline a row shows.
fn n_bars(row: &str) -> usize {
    row.chars().filter(|c| matches!(c, '\u{2581}'..='\u{2588}' | '\u{2801}'..='\u{28ff}')).count()
}

/// The console beside this example: `target/<profile>/provisioning-tui`.
fn built_program() -> Result<PathBuf, Box<dyn Error>> {
    let own = std::env::current_exe()?;
    let program = own.ancestors().nth(2).map(|profile| profile.join("provisioning-tui"));
    match program {
        Some(program) if program.is_file() => Ok(program),
        Some(program) => Err(format!("{} is not there: run `cargo build` first", program.display()).into()),
        None => Err("this example lies in no target directory".into()),
    }
}

fn save(name: &str, screen: &vt100::Screen) -> Result<(), Box<dyn Error>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("screenshots");
    std::fs::create_dir_all(&directory)?;
    let file = directory.join(name).with_extension("png");
    std::fs::write(&file, png(&draw::svg(screen))?)?;
    writeln!(std::io::stdout().lock(), "{}\n{}", file.display(), contents(screen))?;
    Ok(())
}

fn png(svg: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut fonts = Database::new();
    fonts.load_system_fonts();
    for family in [draw::TEXT_FONT, draw::EMOJI_FONT] {
        if !fonts.faces().any(|face| face.families.iter().any(|(name, _)| name == family)) {
            return Err(format!("the font {family} is not installed").into());
        }
    }
    let options = usvg::Options { fontdb: Arc::new(fonts), ..usvg::Options::default() };
    let tree = usvg::Tree::from_str(svg, &options)?;
    let size = tree.size().to_int_size().scale_by(SCALE).ok_or("a picture without size")?;
    let mut pixels = tiny_skia::Pixmap::new(size.width(), size.height()).ok_or("a picture too large")?;
    resvg::render(&tree, tiny_skia::Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    Ok(pixels.encode_png()?)
}
