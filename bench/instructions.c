// A plugin of QEMU's user-mode emulation that counts the instructions of a process, for
// `make bench INSTRUCTIONS=yes` (instructions.mjs compiles it). Each thread counts in a slot of its own of the
// file given as `count=PATH`, which the bench reads while the process runs.
//
// Debian's qemu-user brings no header of the plugin interface, so what is used of it is declared here, as
// version 1 of the interface has it (https://www.qemu.org/docs/master/devel/tcg-plugins.html).

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info_t qemu_info_t;
struct qemu_plugin_tb;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, void (*call)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, void (*call)(unsigned int, void *),
                                          enum qemu_plugin_cb_flags flags, void *data);

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = 1;

// Threads beyond this number share slots.
#define SLOTS 256

// One cache line each, so that threads do not slow one another down.
struct slot {
  uint64_t count;
  uint64_t unused[7];
};
static struct slot *slots;

static void executed(unsigned int thread, void *instructions) {
  slots[thread % SLOTS].count += (uintptr_t)instructions;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
  (void)id;
  qemu_plugin_register_vcpu_tb_exec_cb(block, executed, QEMU_PLUGIN_CB_NO_REGS, (void *)qemu_plugin_tb_n_insns(block));
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int count, char **options) {
  (void)info;
  const char *path = count == 1 && strncmp(options[0], "count=", 6) == 0 ? options[0] + 6 : NULL;
  int file = path ? open(path, O_RDWR | O_CREAT, 0600) : -1;
  if (file < 0 || ftruncate(file, sizeof(struct slot) * SLOTS) != 0) {
    fprintf(stderr, "The plugin needs the option count=PATH, a file that can be written.\n");
    return -1;
  }
  slots = mmap(NULL, sizeof(struct slot) * SLOTS, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (slots == MAP_FAILED) return -1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  return 0;
}
