/* sample Q: as B, but every name of the Rust type is one that C could have, so that the kernel takes it */
typedef unsigned int u32;
u32 rust_probe(u32 x);
struct device { u32 id; struct device *parent; };
static struct device root;

u32 c_poll(struct device *dev)
{
	return rust_probe(dev->id) + 1;
}

void _start(void)
{
	root.id = c_poll(&root);
}
