/* SPDX-License-Identifier: MIT */
/* Given to bindgen, whose libclang then says on stderr which one it is. */
#pragma message("clang version " __clang_version__)
