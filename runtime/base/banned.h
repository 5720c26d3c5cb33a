/* Calls that have no place in Weir, made compile errors. Included ahead of every file of ours by the build.
 * Each has a safer form: str_copy/snprintf for strcpy and sprintf, str_split for strtok, parse_i64 for atoi,
 * clock_utc for localtime and gmtime (which are not reentrant). */
#ifndef WEIR_BANNED_H
#define WEIR_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define WEIR_BANNED(name) sorry_##name##_is_banned_see_runtime_base_banned_h

#undef strcpy
#define strcpy(...) WEIR_BANNED(strcpy)
#undef strcat
#define strcat(...) WEIR_BANNED(strcat)
#undef strncpy
#define strncpy(...) WEIR_BANNED(strncpy)
#undef strncat
#define strncat(...) WEIR_BANNED(strncat)
#undef sprintf
#define sprintf(...) WEIR_BANNED(sprintf)
#undef vsprintf
#define vsprintf(...) WEIR_BANNED(vsprintf)
#undef strtok
#define strtok(...) WEIR_BANNED(strtok)
#undef atoi
#define atoi(...) WEIR_BANNED(atoi)
#undef atol
#define atol(...) WEIR_BANNED(atol)
#undef atof
#define atof(...) WEIR_BANNED(atof)
#undef gets
#define gets(...) WEIR_BANNED(gets)
#undef localtime
#define localtime(...) WEIR_BANNED(localtime)
#undef gmtime
#define gmtime(...) WEIR_BANNED(gmtime)
#undef ctime
#define ctime(...) WEIR_BANNED(ctime)
#undef asctime
#define asctime(...) WEIR_BANNED(asctime)
#undef alloca
#define alloca(...) WEIR_BANNED(alloca)
#undef mktemp
#define mktemp(...) WEIR_BANNED(mktemp)
#undef tmpnam
#define tmpnam(...) WEIR_BANNED(tmpnam)

#endif
