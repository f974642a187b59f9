/* Running what was not granted: made in memory, written, only readable, or under another name. What is run is this very
   program with the attack `held`; the runner looks which file the process really runs. */
#include "probe.h"
#include <linux/memfd.h>

extern char **environ;

static void held(char **a) {
    (void)a;
    hold();
}

static char *const *held_args(char *name) {
    static char *list[5];
    list[0] = name, list[1] = mark, list[2] = "held", list[3] = NULL;
    return list;
}

static void copy(int to, const char *from) {
    int fd = open(from, O_RDONLY);
    if (fd < 0) fail(from);
    char text[65536];
    ssize_t got;
    while ((got = read(fd, text, sizeof text)) > 0) TRY(write(to, text, got));
    close(fd);
}

static void run(char **a) {
    TRY(execve(a[0], held_args(a[0]), environ));
}

static void written(char **a) {
    int fd = TRY(open(a[0], O_WRONLY | O_CREAT, 0755));
    copy(fd, "/proc/self/exe");
    close(fd);
    run(a);
}

static void written_by_descriptor(char **a) {
    int fd = TRY(open(a[0], O_RDWR | O_CREAT, 0755));
    copy(fd, "/proc/self/exe");
    close(fd);
    fd = TRY(open(a[0], O_RDONLY));
    TRY(syscall(SYS_execveat, fd, "", held_args("x"), environ, AT_EMPTY_PATH));
}

static void copied_run(char **a) {
    (void)a;
    int fd = TRY(open("/proc/self/exe", O_RDONLY));
    TRY(syscall(SYS_execveat, fd, "", held_args("x"), environ, AT_EMPTY_PATH));
}

static void linked(char **a) {
    TRY(link(own_args[0], a[0]));
    run(a);
}

static void from_memory(char **a) {
    char path[64];
    int fd = TRY(syscall(SYS_memfd_create, "x", strtoul(a[0], NULL, 16)));
    copy(fd, "/proc/self/exe");
    fchmod(fd, 0755);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    TRY(execve(path, held_args("x"), environ));
}

static void from_memory_by_descriptor(char **a) {
    int fd = TRY(syscall(SYS_memfd_create, "x", strtoul(a[0], NULL, 16)));
    copy(fd, "/proc/self/exe");
    TRY(syscall(SYS_execveat, fd, "", held_args("x"), environ, AT_EMPTY_PATH));
}

static void nameless(char **a) {
    char path[64];
    int fd = TRY(open(a[0], O_TMPFILE | O_RDWR, 0755));
    copy(fd, "/proc/self/exe");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int again = TRY(open(path, O_RDONLY));
    close(fd);
    snprintf(path, sizeof path, "/proc/self/fd/%d", again);
    TRY(execve(path, held_args("x"), environ));
}

/* `#!` names a granted program, and the script is only data. */
static void script(char **a) {
    char text[700];
    int fd = TRY(open(a[0], O_WRONLY | O_CREAT, 0755));
    int size = snprintf(text, sizeof text, "#!%s %s\n", own_args[0], mark);
    TRY(write(fd, text, size));
    close(fd);
    char *list[] = {a[0], "held", NULL};
    TRY(execve(a[0], list, environ));
}

static void by_loader(char **a) {
    char *list[] = {a[0], a[1], mark, "held", NULL};
    TRY(execve(a[0], list, environ));
}

static void map_code(char **a) {
    int fd = TRY(open(a[0], O_RDWR | O_CREAT, 0755));
    TRY(write(fd, "\xc3\xc3\xc3\xc3", 4));
    TRY(ftruncate(fd, 4096));
    if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED) fail("mmap");
    hold();
}

static void map_then_protect(char **a) {
    int fd = TRY(open(a[0], O_RDWR | O_CREAT, 0755));
    TRY(ftruncate(fd, 4096));
    void *at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) fail("mmap");
    TRY(mprotect(at, 4096, PROT_READ | PROT_EXEC));
    hold();
}

/* CVE-2019-5736: from inside, over the file that the host will run the next time. */
static void over_own_program(char **a) {
    (void)a;
    int fd = TRY(open("/proc/self/exe", O_RDONLY));
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (TRY(fork()) == 0) {
        char name[512];
        snprintf(name, sizeof name, "%s", own_args[0]);
        if (unlink(name) < 0) fail("unlink");
        int out = TRY(open(name, O_WRONLY | O_CREAT, 0755));
        TRY(write(out, mark, strlen(mark)));
        _exit(0);
    }
    wait(NULL);
}

static void rename_over_own_program(char **a) {
    int fd = TRY(open(a[0], O_WRONLY | O_CREAT, 0755));
    TRY(write(fd, mark, strlen(mark)));
    TRY(rename(a[0], own_args[0]));
}

static void with_variable(char **a) {
    TRY(setenv(a[1], a[2], 1));
    TRY(execve(a[0], held_args(a[0]), environ));
}

/* Becomes another user, if the set-user-id bit makes us that. */
static void set_id(char **a) {
    TRY(execve(a[0], held_args(a[0]), environ));
}

static void format(char **a) {
    char rule[700];
    int fd = open(a[0], O_WRONLY);
    if (fd < 0) fail(a[0]);
    int size = snprintf(rule, sizeof rule, ":%s:M::%.4s::%s:F", mark, mark, own_args[0]);
    TRY(write(fd, rule, size));
}

const struct attack programs[] = {{"held", held},
                                  {"run", run},
                                  {"written", written},
                                  {"written-by-descriptor", written_by_descriptor},
                                  {"copied-run", copied_run},
                                  {"linked", linked},
                                  {"from-memory", from_memory},
                                  {"from-memory-by-descriptor", from_memory_by_descriptor},
                                  {"nameless-run", nameless},
                                  {"script", script},
                                  {"by-loader", by_loader},
                                  {"map-code", map_code},
                                  {"map-then-protect", map_then_protect},
                                  {"over-own-program", over_own_program},
                                  {"rename-over-own-program", rename_over_own_program},
                                  {"with-variable", with_variable},
                                  {"set-id", set_id},
                                  {"format", format},
                                  {NULL, NULL}};
