//! Takes pictures of the real program: `cargo build && cargo run --example screenshots`.
//!
//! Runs `provisioning-tui --demo` in a pseudo-terminal at each size, waits until the screen shows what a picture should show, and
//! writes the cells as `screenshots/<name>.svg` and `screenshots/<name>.png`. With arguments, runs that program instead and takes its
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

/// The demo's last service to start is up well within this.
const PATIENCE: Duration = Duration::from_secs(60);

/// One picture of the demo.
struct Shot {
    name: &'static str,
    columns: u16,
    rows: u16,
}

const SHOTS: [Shot; 2] =
    [Shot { name: "console-80x24", columns: 80, rows: 24 }, Shot { name: "console-120x40", columns: 120, rows: 40 }];

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
    terminal.wait_until("every auto-start service runs, with some history behind it", PATIENCE, |screen| {
        // The gateway needs almost everybody, so it comes up last; its neighbours have a history by the time it has one.
        let started = rows(screen).any(|row| row.contains("api-gateway") && row.contains("running"));
        let has_history = rows(screen).any(|row| row.contains("orchestrator") && n_bars(&row) >= 6);
        started && has_history
    })?;
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
    let svg = draw::svg(screen);
    let file = directory.join(name);
    std::fs::write(file.with_extension("svg"), &svg)?;
    std::fs::write(file.with_extension("png"), png(&svg)?)?;
    writeln!(std::io::stdout().lock(), "{}\n{}", file.with_extension("png").display(), contents(screen))?;
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
