//! Manual pages, from the same command tree as `--help`.

use std::io;
use std::path::Path;

use super::exit::Exit;
use super::print::Printer;
use super::program::{Program, command};

/// Prints the page of the program, or writes one page for each command into `directory`.
pub(super) fn run(directory: Option<&Path>, program: Program, out: &mut Printer) -> Exit {
    // A width of its own: a page is laid out by its reader and not by the terminal it was made in.
    let tree = command(program).term_width(0);
    let Some(directory) = directory else {
        return match page(tree) {
            Ok(page) => {
                out.report(&page);
                Exit::Done
            }
            Err(error) => {
                out.error(&format!("failed to write the manual page: {error}"));
                Exit::Failed
            }
        };
    };
    let written = std::fs::create_dir_all(directory).and_then(|()| clap_mangen::generate_to(tree, directory));
    match written {
        Ok(()) => Exit::Done,
        Err(error) => {
            out.error(&format!("failed to write the manual pages to {}: {error}", directory.display()));
            Exit::Failed
        }
    }
}

fn page(tree: clap::Command) -> io::Result<String> {
    let mut page = Vec::new();
    clap_mangen::Man::new(tree).render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
