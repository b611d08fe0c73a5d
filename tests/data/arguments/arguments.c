/* Structs by value that a calling convention treats in ways of its own. */
typedef unsigned long u64; typedef unsigned int u32; typedef unsigned char u8;
struct p9 { u8 a; u64 b; } __attribute__((packed));
struct p5 { u8 c; u32 i; } __attribute__((packed));
struct p8 { u32 a; u32 b; } __attribute__((packed));
struct p12 { u64 a; u32 b; } __attribute__((packed));
struct al { u64 a; } __attribute__((aligned(16)));
struct al2 { u64 a, b; } __attribute__((aligned(16)));
struct mal { u64 a __attribute__((aligned(16))); u64 b; };
struct bf { u64 a:40; u64 b:40; } __attribute__((packed));
struct nest { u8 x; struct p8 y; } __attribute__((packed));
struct nest2 { struct p5 y; u8 z; };
typedef u64 __attribute__((aligned(4))) c64;
struct compat { u32 a; c64 b; };
struct fl { double d; };
struct big { u64 a; u64 b; u32 c; } __attribute__((packed));
union un { u64 a; u8 b[12]; };
typedef struct { u8 a; u64 b; } __attribute__((packed)) anon_t;
typedef __int128 i128;
#define N __attribute__((noinline, used))
N u64 f_fl(struct fl s, u64 n) { return n + (u64)s.d; }
N u64 f_p9(struct p9 s, u64 n) { return s.b + n; }
N u64 f_p5(u64 m, struct p5 s, u64 n) { return m + s.i + n; }
N u64 f_p8(struct p8 s, u64 n) { return s.b + n; }
N u64 f_p12(struct p12 s, u64 n) { return s.b + n; }
N u64 f_al(u64 m, struct al s, u64 n) { return m + s.a + n; }
N u64 f_al2(u64 m, struct al2 s, u64 n) { return m + s.a + s.b + n; }
N u64 f_al2_stack(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f, u64 g, struct al2 s) { return g + s.a + s.b + a; }
N u64 f_al2_even(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f, struct al2 s, u64 g) { return g + s.a + s.b + a; }
N u64 f_mal(u64 m, struct mal s, u64 n) { return m + s.a + s.b + n; }
N u64 f_bf(struct bf s, u64 n) { return s.a + s.b + n; }
N u64 f_nest(struct nest s, u64 n) { return s.y.b + n; }
N u64 f_nest2(struct nest2 s, u64 n) { return s.y.i + n; }
N u64 f_compat(struct compat s, u64 n) { return s.b + n; }
N u64 f_big(struct big s, u64 n) { return s.b + n; }
N u64 f_un(union un s, u64 n) { return s.a + n; }
N u64 f_anon(anon_t s, u64 n) { return s.b + n; }
N u64 f_i128(u64 m, i128 s, u64 n) { return m + (u64)s + (u64)(s >> 64) + n; }
N u64 f_i128_stack(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f, u64 g, i128 s) { return g + (u64)(s >> 64) + a; }
N u64 f_six(u64 a, u64 b, u64 c, u64 d, u64 e, struct p12 s, u64 n) { return s.b + n + e; }
