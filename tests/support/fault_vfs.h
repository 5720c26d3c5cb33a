/* A SQLite VFS named "fault" over the default one, whose writes and syncs fail at the test's word: a full disk, a device
 * that breaks. One for each test process. */
#ifndef WEIR_TESTS_FAULT_VFS_H
#define WEIR_TESTS_FAULT_VFS_H

#include <sqlite3.h>
#include <stdatomic.h>
#include <string.h>

static atomic_int fault_write; /* SQLite code that every write answers, 0: none. */
static atomic_int fault_sync;
static sqlite3_vfs *fault_real;

struct fault_file {
    sqlite3_file base;
    sqlite3_file *real;
};
#define REAL(file) (((struct fault_file *)(file))->real)

static int fault_close(sqlite3_file *f) { return REAL(f)->pMethods->xClose(REAL(f)); }
static int fault_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at) { return REAL(f)->pMethods->xRead(REAL(f), p, n, at); }
static int fault_do_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    int code = atomic_load(&fault_write);
    return code != 0 ? code : REAL(f)->pMethods->xWrite(REAL(f), p, n, at);
}
static int fault_truncate(sqlite3_file *f, sqlite3_int64 n) { return REAL(f)->pMethods->xTruncate(REAL(f), n); }
static int fault_do_sync(sqlite3_file *f, int flags)
{
    int code = atomic_load(&fault_sync);
    return code != 0 ? code : REAL(f)->pMethods->xSync(REAL(f), flags);
}
static int fault_size(sqlite3_file *f, sqlite3_int64 *n) { return REAL(f)->pMethods->xFileSize(REAL(f), n); }
static int fault_lock(sqlite3_file *f, int l) { return REAL(f)->pMethods->xLock(REAL(f), l); }
static int fault_unlock(sqlite3_file *f, int l) { return REAL(f)->pMethods->xUnlock(REAL(f), l); }
static int fault_check(sqlite3_file *f, int *out) { return REAL(f)->pMethods->xCheckReservedLock(REAL(f), out); }
static int fault_control(sqlite3_file *f, int op, void *arg) { return REAL(f)->pMethods->xFileControl(REAL(f), op, arg); }
static int fault_sector(sqlite3_file *f) { return REAL(f)->pMethods->xSectorSize(REAL(f)); }
static int fault_device(sqlite3_file *f) { return REAL(f)->pMethods->xDeviceCharacteristics(REAL(f)); }
static int fault_shm_map(sqlite3_file *f, int a, int b, int c, void volatile **d) { return REAL(f)->pMethods->xShmMap(REAL(f), a, b, c, d); }
static int fault_shm_lock(sqlite3_file *f, int a, int b, int c) { return REAL(f)->pMethods->xShmLock(REAL(f), a, b, c); }
static void fault_shm_barrier(sqlite3_file *f) { REAL(f)->pMethods->xShmBarrier(REAL(f)); }
static int fault_shm_unmap(sqlite3_file *f, int d) { return REAL(f)->pMethods->xShmUnmap(REAL(f), d); }

static const sqlite3_io_methods fault_methods = {
    2, fault_close, fault_read, fault_do_write, fault_truncate, fault_do_sync, fault_size, fault_lock, fault_unlock, fault_check,
    fault_control, fault_sector, fault_device, fault_shm_map, fault_shm_lock, fault_shm_barrier, fault_shm_unmap, NULL, NULL};

static int fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    struct fault_file *own = (struct fault_file *)file;
    own->real = (sqlite3_file *)(own + 1);
    int code = fault_real->xOpen(fault_real, name, own->real, flags, out);
    own->base.pMethods = own->real->pMethods != NULL ? &fault_methods : NULL;
    return code;
}

static inline void fault_vfs_register(void)
{
    static sqlite3_vfs vfs;
    fault_real = sqlite3_vfs_find(NULL);
    memcpy(&vfs, fault_real, sizeof vfs);
    vfs.zName = "fault";
    vfs.szOsFile = (int)sizeof(struct fault_file) + fault_real->szOsFile;
    vfs.xOpen = fault_open;
    sqlite3_vfs_register(&vfs, 0);
}

#endif
