/* Other processes: their memory, their signals, their share of the machine. The first argument is whose. */
#include "probe.h"
#include <sys/ptrace.h>
#define SHOW(text)                                                                                                     \
    do {                                                                                                               \
        (text)[sizeof(text) - 1] = 0;                                                                                  \
        puts(text);                                                                                                    \
    } while (0)

static void attach_peek(char **a) {
    pid_t pid = atoi(a[0]);
    long words[17] = {0};
    TRY(ptrace(PTRACE_ATTACH, pid, NULL, NULL));
    waitpid(pid, NULL, __WALL);
    for (int i = 0; i < 16; i++) words[i] = ptrace(PTRACE_PEEKDATA, pid, strtoull(a[1], NULL, 16) + 8 * i, NULL);
    ptrace(PTRACE_DETACH, pid, NULL, NULL);
    puts((char *)words);
}

static void seize(char **a) {
    pid_t pid = atoi(a[0]);
    int status;
    TRY(ptrace(PTRACE_SEIZE, pid, NULL, NULL));
    alarm(20);
    puts("holding");
    fcntl(0, F_SETFL, O_NONBLOCK);
    char byte;
    /* It stops at each of its signals until we let it go on. */
    while (read(0, &byte, 1) != 0) {
        if (waitpid(pid, &status, WNOHANG | __WALL) == pid && WIFSTOPPED(status))
            ptrace(PTRACE_CONT, pid, NULL, WSTOPSIG(status));
        usleep(1000);
    }
}

static void traced_child(char **a) {
    (void)a;
    pid_t child = TRY(fork());
    if (!child) {
        TRY(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
        linger();
    }
    hold_both(child);
}

static void vm_read(char **a) {
    char text[129] = {0};
    struct iovec here = {text, 128}, there = {(void *)(uintptr_t)strtoull(a[1], NULL, 16), 128};
    TRY(process_vm_readv(atoi(a[0]), &here, 1, &there, 1, 0));
    SHOW(text);
}

static void vm_write(char **a) {
    struct iovec here = {mark, 1}, there = {(void *)(uintptr_t)strtoull(a[1], NULL, 16), 1};
    TRY(process_vm_writev(atoi(a[0]), &here, 1, &there, 1, 0));
}

static void send_kill(char **a) { TRY(kill(atoi(a[0]), SIGUSR1)); }
static void send_group(char **a) { TRY(kill(-atoi(a[0]), SIGUSR1)); }
static void send_thread(char **a) { TRY(syscall(SYS_tgkill, atoi(a[0]), atoi(a[0]), SIGUSR1)); }
static void send_tkill(char **a) { TRY(syscall(SYS_tkill, atoi(a[0]), SIGUSR1)); }
static void send_all(char **a) {
    (void)a;
    TRY(kill(-1, SIGUSR1));
}

static void send_own_group(char **a) {
    (void)a;
    signal(SIGUSR1, SIG_IGN);
    TRY(kill(0, SIGUSR1));
}

static void send_queue(char **a) {
    siginfo_t info = {.si_code = SI_QUEUE, .si_pid = getpid(), .si_uid = getuid()};
    TRY(syscall(SYS_rt_sigqueueinfo, atoi(a[0]), SIGUSR1, &info));
}

static void send_pidfd(char **a) {
    int fd = TRY(syscall(SYS_pidfd_open, atoi(a[0]), 0));
    TRY(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, 0));
}

static void send_by_owner(char **a) {
    int pair[2];
    TRY(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    TRY(fcntl(pair[0], F_SETSIG, SIGUSR1));
    TRY(fcntl(pair[0], F_SETOWN, atoi(a[0])));
    TRY(fcntl(pair[0], F_SETFL, O_ASYNC));
    TRY(write(pair[1], "x", 1));
}

static void join_group(char **a) {
    TRY(setpgid(0, atoi(a[0])));
    signal(SIGUSR1, SIG_IGN);
    TRY(kill(0, SIGUSR1));
}

static void lower(char **a) { TRY(setpriority(PRIO_PROCESS, atoi(a[0]), 7)); }
static void starve_files(char **a) {
    struct rlimit few = {5, 5};
    TRY(prlimit(atoi(a[0]), RLIMIT_NOFILE, &few, NULL));
}
static void idle(char **a) { TRY(syscall(SYS_ioprio_set, 1, atoi(a[0]), 3 << 13 | 7)); }
static void pin(char **a) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    TRY(sched_setaffinity(atoi(a[0]), sizeof one, &one));
}
static void batch(char **a) {
    struct sched_param none = {0};
    TRY(sched_setscheduler(atoi(a[0]), SCHED_IDLE, &none));
}

static void real_time(char **a) {
    (void)a;
    struct sched_param most = {.sched_priority = 50};
    TRY(sched_setscheduler(0, SCHED_FIFO, &most));
    hold();
}

static void nicer(char **a) {
    (void)a;
    TRY(setpriority(PRIO_PROCESS, 0, -10));
    hold();
}

static void io_real_time(char **a) {
    (void)a;
    TRY(syscall(SYS_ioprio_set, 1, 0, 1 << 13));
    hold();
}

const struct attack processes[] = {{"attach-peek", attach_peek},
                                   {"seize", seize},
                                   {"traced-child", traced_child},
                                   {"vm-read", vm_read},
                                   {"vm-write", vm_write},
                                   {"kill", send_kill},
                                   {"kill-group", send_group},
                                   {"tgkill", send_thread},
                                   {"tkill", send_tkill},
                                   {"kill-all", send_all},
                                   {"kill-own-group", send_own_group},
                                   {"sigqueue", send_queue},
                                   {"pidfd-signal", send_pidfd},
                                   {"signal-by-owner", send_by_owner},
                                   {"join-group", join_group},
                                   {"lower", lower},
                                   {"starve-files", starve_files},
                                   {"idle", idle},
                                   {"pin", pin},
                                   {"batch", batch},
                                   {"real-time", real_time},
                                   {"nicer", nicer},
                                   {"io-real-time", io_real_time},
                                   {NULL, NULL}};
