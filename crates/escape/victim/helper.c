/* What the runner cannot do itself, because its language asks for system calls by pointer. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <mqueue.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/resource.h>
#include <sys/reboot.h>
#include <sys/shm.h>
#include <sys/swap.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* `leak FILE NUMBER COMMAND…`: the command inherits an open file. */
static int leak(char **a) {
    int fd = open(a[0], O_RDONLY);
    if (fd < 0 || dup2(fd, atoi(a[1])) < 0) return 1;
    execvp(a[2], a + 2);
    return 1;
}

/* `terminal own|free COMMAND…`: the command on a terminal, as a person's shell has it; afterwards says what was typed
   into that terminal, and by nobody. */
static int terminal(char **a) {
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), status, ends[2];
    if (master < 0 || grantpt(master) || unlockpt(master) || pipe2(ends, O_CLOEXEC)) return 1;
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios mode;
    tcgetattr(slave, &mode);
    mode.c_lflag &= ~(ECHO | ICANON);
    mode.c_oflag &= ~OPOST;
    tcsetattr(slave, TCSANOW, &mode);
    pid_t child = fork();
    if (!child) {
        setsid();
        if (!strcmp(a[0], "own")) ioctl(slave, TIOCSCTTY, 0);
        dup2(slave, 0), dup2(slave, 1), dup2(slave, 2);
        execvp(a[1], a + 1);
        _exit(1);
    }
    pid_t ended = 0;
    while (!ended) {
        struct pollfd one = {master, POLLIN, 0};
        char text[4096];
        if (poll(&one, 1, 20) > 0 && one.revents & POLLIN) {
            ssize_t got = read(master, text, sizeof text);
            if (got > 0 && write(1, text, got) < 0) break;
            continue;
        }
        ended = waitpid(child, &status, WNOHANG);
        struct pollfd in = {0, POLLIN, 0};
        if (poll(&in, 1, 0) > 0 && read(0, text, sizeof text) <= 0) kill(child, SIGTERM);
    }
    int discipline = 0;
    ioctl(slave, TIOCGETD, &discipline);
    if (discipline) printf("\ndiscipline: %d\n", discipline);
    fcntl(slave, F_SETFL, O_NONBLOCK);
    char typed[512] = {0};
    if (read(slave, typed, sizeof typed - 1) > 0) printf("\ntyped: %s\n", typed);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* `stop PID…`: ends them for good. */
static int stop(char **a) {
    for (; *a; a++) kill(atoi(*a), SIGKILL);
    return 0;
}

static int unmount(char **a) {
    for (; *a; a++) umount2(*a, MNT_DETACH);
    return 0;
}

/* `clock VALUE`: the kernel's estimated error, which anybody may read and only root set. */
static int clock_error(char **a) {
    struct timex now = {0};
    if (*a) now.modes = ADJ_ESTERROR, now.esterror = atoi(*a);
    adjtimex(&now);
    printf("%ld\n", now.esterror);
    return 0;
}

static int swap_space(char **a) {
    int fd = open(a[0], O_RDWR | O_CREAT, 0600);
    unsigned head[4] = {1, 15, 0, 0};
    if (fd < 0 || posix_fallocate(fd, 0, 65536)) return 1;
    if (pwrite(fd, head, sizeof head, 1024) < 0 || pwrite(fd, "SWAPSPACE2", 10, 4086) < 0) return 1;
    return fsync(fd);
}

/* `ipc-remove KEY`: a segment of shared memory that somebody left. */
static int ipc_remove(char **a) {
    int id = shmget(strtol(a[0], NULL, 16), 0, 0);
    return id < 0 ? 1 : shmctl(id, IPC_RMID, NULL);
}

/* `forget SHM MSG SEM NAME`: what a victim leaves that could not clean up. */
static int forget(char **a) {
    shmctl(atoi(a[0]), IPC_RMID, NULL);
    msgctl(atoi(a[1]), IPC_RMID, NULL);
    semctl(atoi(a[2]), 0, IPC_RMID);
    shm_unlink(a[3]);
    return mq_unlink(a[3]);
}

static int quit_swap(char **a) { return swapoff(a[0]); }

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        int (*run)(char **a);
    } all[] = {{"leak", leak},       {"terminal", terminal},     {"stop", stop},   {"unmount", unmount},
               {"clock", clock_error}, {"swap-space", swap_space}, {"ipc-remove", ipc_remove}, {"forget", forget}, {"swap-off", quit_swap}};
    for (size_t i = 0; argc > 1 && i < sizeof all / sizeof *all; i++)
        if (!strcmp(all[i].name, argv[1])) return all[i].run(argv + 2);
    return 2;
}
