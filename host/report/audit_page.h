/* An audit as a page for people and JSON for programs: audit.html and audit.json in a folder. */
#ifndef HOST_REPORT_AUDIT_PAGE_H
#define HOST_REPORT_AUDIT_PAGE_H

#include "host/audit/audit.h"

/* Creates `folder` if it is missing. */
mien_status mien_audit_report(const mien_audit *audit, const char *folder);

#endif
