// sample W: a static of type fn(), which pins that type to the Rust unit
#![no_std]
#![allow(dead_code, static_mut_refs)]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }
static mut CB: Option<extern "C" fn()> = None;
#[no_mangle]
pub extern "C" fn rust_flag(x: u32) -> u32 { unsafe { if let Some(f) = CB { f() } } x + 1 }
