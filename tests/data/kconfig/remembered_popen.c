/* SPDX-License-Identifier: MIT
 * popen() that remembers what a command printed, in the directory $CONF_MEMO: conf asks the same
 * hundred commands for every configuration. Built into the oracle's conf by tests/kconfig-oracle.
 */
#define _GNU_SOURCE
#undef popen /* the build renames them in conf */
#undef pclose
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdint.h>
FILE *remembered_popen(const char *cmd, const char *mode)
{
	const char *dir = getenv("CONF_MEMO");
	char path[4096], tmp[4200];
	uint64_t h = 1469598103934665603ull;
	for (const char *p = cmd; *p; p++) h = (h ^ (unsigned char)*p) * 1099511628211ull;
	if (!dir) return popen(cmd, mode);
	snprintf(path, sizeof(path), "%s/%016llx", dir, (unsigned long long)h);
	FILE *f = fopen(path, "r");
	if (f) return f;
	FILE *p = popen(cmd, "r");
	if (!p) return NULL;
	snprintf(tmp, sizeof(tmp), "%s.tmp", path);
	FILE *o = fopen(tmp, "w");
	int c;
	while ((c = getc(p)) != EOF) putc(c, o);
	pclose(p); fclose(o);
	rename(tmp, path);
	return fopen(path, "r");
}
int remembered_pclose(FILE *f) { fclose(f); return 0; }
