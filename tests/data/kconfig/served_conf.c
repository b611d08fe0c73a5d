/* SPDX-License-Identifier: MIT
 * conf that reads the Kconfig files once and then works for each configuration whose path it is told
 * on stdin, in a child of its own. Built into conf by tests/proposals-oracle (--wrap=conf_parse).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
void __real_conf_parse(const char *name);
void __wrap_conf_parse(const char *name)
{
	char path[4096];

	__real_conf_parse(name);
	while (fgets(path, sizeof(path), stdin)) {
		int status = 255;
		pid_t child = fork();

		path[strcspn(path, "\n")] = 0;
		if (!child) { /* goes on as conf would */
			dup2(2, 1);
			setenv("KCONFIG_CONFIG", path, 1);
			return;
		}
		waitpid(child, &status, 0);
		printf("%d\n", status);
		fflush(stdout);
	}
	exit(0);
}
