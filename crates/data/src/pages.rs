//! Large pages for memory that is filled once, such as a file's content or a matrix: the one unsafe call of this crate.
//!
//! Touching memory for the first time costs a trap for each page, and with pages of 4 KiB the traps of a gigabyte take
//! longer than reading it. Where Linux gives large pages (2 MiB) only to those who ask (`madvise` in
//! `/sys/kernel/mm/transparent_hugepage/enabled`, the usual setting), this asks.

/// A vector with room for `n` values, if there is so much memory. Long ones ask for large pages.
pub(crate) fn with_room<T>(n: usize) -> Option<Vec<T>> {
    let mut values: Vec<T> = Vec::new();
    values.try_reserve_exact(n).ok()?;
    ask(&mut values);
    Some(values)
}

/// Memory below this size is better off with small pages, of which nothing is left over.
#[cfg(target_os = "linux")]
const LONG: usize = 1 << 24;

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn ask<T>(values: &mut Vec<T>) {
    let room = values.spare_capacity_mut();
    let (start, bytes) = (room.as_mut_ptr().addr(), size_of_val(room));
    if bytes < LONG {
        return;
    }
    // The kernel takes whole pages of its own size, which is 4 KiB or a multiple.
    let skipped = start.next_multiple_of(LARGE) - start;
    let length = (bytes - skipped) / LARGE * LARGE;
    // SAFETY: the range lies within one allocation that we hold, and the advice changes how it is paged, not what it holds.
    // A kernel that does not know the advice says so, and nothing changes.
    unsafe { libc::madvise(room.as_mut_ptr().cast::<u8>().add(skipped).cast(), length, libc::MADV_HUGEPAGE) };
}

/// The size of a large page.
#[cfg(target_os = "linux")]
const LARGE: usize = 1 << 21;

#[cfg(not(target_os = "linux"))]
fn ask<T>(_: &mut Vec<T>) {}
