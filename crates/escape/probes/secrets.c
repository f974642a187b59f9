/* What lies about: variables, arguments, homes, logs, scratch space. */
#include "probe.h"
#include <dirent.h>

extern char **environ;

static void environment(char **a) {
    (void)a;
    for (char **one = environ; *one; one++) puts(*one);
}

/* Everything readable below a folder, some levels deep. */
static void rummage(const char *folder, int depth) {
    DIR *here = opendir(folder);
    struct dirent *one;
    while (here && depth && (one = readdir(here))) {
        char path[1024];
        struct stat what;
        if (!strcmp(one->d_name, ".") || !strcmp(one->d_name, "..")) continue;
        snprintf(path, sizeof path, "%s/%s", folder, one->d_name);
        if (lstat(path, &what)) continue;
        if (S_ISDIR(what.st_mode)) rummage(path, depth - 1);
        int fd = S_ISREG(what.st_mode) ? open(path, O_RDONLY) : -1;
        if (fd >= 0) {
            char text[4096];
            ssize_t got = read(fd, text, sizeof text);
            if (got > 0) fwrite(text, 1, got, stdout);
            close(fd);
        }
    }
    if (here) closedir(here);
}

static void rummage_in(char **a) { rummage(a[0], atoi(a[1])); }

static void append(char **a) {
    int fd = open(a[0], O_WRONLY | O_APPEND);
    if (fd < 0) fail(a[0]);
    TRY(write(fd, mark, strlen(mark)));
}

/* The first file below a folder gets MARK. */
static void spoil(char **a) {
    DIR *here = opendir(a[0]);
    struct dirent *one;
    if (!here) fail(a[0]);
    while ((one = readdir(here))) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", a[0], one->d_name);
        int fd = open(path, O_WRONLY | O_TRUNC);
        if (fd >= 0) TRY(write(fd, mark, strlen(mark)));
    }
}

const struct attack secrets[] = {{"environment", environment}, {"rummage", rummage_in}, {"append", append},
                                 {"spoil", spoil}, {NULL, NULL}};
