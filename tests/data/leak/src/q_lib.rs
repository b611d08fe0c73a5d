// sample Q: a Rust `device` of its own, with nothing in it that C could not name: no generics, no enum with data, no
// reference to a str or a slice, and no u32, which the static pins to the Rust unit. It lands in the C unit as the
// owner of `device::probe`, and the kernel takes it.
#![no_std]
#![allow(dead_code, static_mut_refs, non_camel_case_types)]

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

pub struct registry {
    slot: usize,
    count: u64,
}

pub struct device {
    owner: *mut registry,
    parent: *mut device,
    name: *const u8,
    hits: u64,
}

static mut HITS: u32 = 0;

impl device {
    #[inline(never)]
    fn probe(x: u32) -> u32 {
        unsafe {
            HITS = HITS.wrapping_mul(31).wrapping_add(x);
            HITS
        }
    }
}

#[no_mangle]
pub extern "C" fn rust_probe(x: u32) -> u32 {
    device::probe(x)
}
