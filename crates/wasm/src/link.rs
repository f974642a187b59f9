//! What the linker holds: exactly the interfaces whose need the grant covers.

use std::sync::Arc;

use bailiwick_capability::{Grant, Kind};
use wasmtime::Engine;
use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random};
use wasmtime_wasi::random::{WasiRandom, WasiRandomView as _};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::aside::Notes;
use crate::bounds::Bounds;
use crate::files::{CheckedFiles, FileWorld, Files};
use crate::http::Http;
use crate::imports::speaks_http;

/// Everything that one call owns.
pub(crate) struct State {
    pub(crate) table: ResourceTable,
    pub(crate) wasi: WasiCtx,
    pub(crate) http_ctx: WasiHttpCtx,
    pub(crate) http: Http,
    pub(crate) files: Arc<FileWorld>,
    pub(crate) notes: Notes,
    pub(crate) bounds: Bounds,
}

impl State {
    fn files(&mut self) -> Files<'_> {
        let WasiCtxView { ctx, table } = WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        };
        let inner = wasmtime_wasi::filesystem::WasiFilesystemCtxView {
            ctx: ctx.filesystem(),
            table,
        };
        Files::new(inner, &self.files, &self.notes)
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.http,
            table: &mut self.table,
            ctx: &mut self.http_ctx,
        }
    }
}

struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}

/// A linker for `grant`. Sockets and name lookup are never in it.
pub(crate) fn linker(engine: &Engine, grant: &Grant) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    empty_world(&mut linker)?;
    if grant.of_kind(Kind::Clock).next().is_some() {
        clocks::wall_clock::add_to_linker::<State, WasiClocks>(&mut linker, State::clocks)?;
        clocks::monotonic_clock::add_to_linker::<State, WasiClocks>(&mut linker, State::clocks)?;
    }
    if grant.of_kind(Kind::Random).next().is_some() {
        random::random::add_to_linker::<State, WasiRandom>(&mut linker, State::random)?;
        random::insecure::add_to_linker::<State, WasiRandom>(&mut linker, State::random)?;
        random::insecure_seed::add_to_linker::<State, WasiRandom>(&mut linker, State::random)?;
    }
    if speaks_http(grant) {
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    }
    Ok(linker)
}

/// What is linked whatever is granted: without preopens, variables, arguments or a terminal it holds nothing.
fn empty_world(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    use wasmtime_wasi_io::bindings::wasi::io;
    io::error::add_to_linker::<State, Io>(linker, |state| &mut state.table)?;
    io::poll::add_to_linker::<State, Io>(linker, |state| &mut state.table)?;
    io::streams::add_to_linker::<State, Io>(linker, |state| &mut state.table)?;
    cli::environment::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::exit::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::stdin::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::stdout::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::stderr::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_input::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_output::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_stdin::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_stdout::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_stderr::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    filesystem::types::add_to_linker::<State, CheckedFiles>(linker, State::files)?;
    filesystem::preopens::add_to_linker::<State, CheckedFiles>(linker, State::files)?;
    Ok(())
}
