/* The model that a command uses if none is given. */
#include "host/base/log.h"
#include "host/cli/cli.h"
#include "host/formats/model.h"

mien_status cli_default_model(cli_list *models, char *found) {
    if (models->count) return MIEN_OK;
    MIEN_TRY(mien_model_default(found));
    MIEN_INFO("model %s", found);
    models->items[models->count++] = found;
    return MIEN_OK;
}
