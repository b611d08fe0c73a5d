/* sample W: void (*)(void) is the same type to LLVM as fn() of Rust, whose unit comes first and owns it */
typedef unsigned int u32;
u32 rust_flag(u32 x);
struct with_hook { void (*hook)(void); void (*const *table)(void); u32 n; };
static struct with_hook w;
void c_call(void (*f)(void), u32 n) { f(); w.n = n; }
u32 c_go(struct with_hook *h) { h->hook(); return rust_flag(h->n); }
void _start(void) { w.n = c_go(&w); c_call(w.hook, 3); }
