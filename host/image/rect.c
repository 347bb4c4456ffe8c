#include "host/image/rect.h"

double mien_rect_common(mien_rect a, mien_rect b) {
    const int left = a.x > b.x ? a.x : b.x, top = a.y > b.y ? a.y : b.y;
    const int right = a.x + a.width < b.x + b.width ? a.x + a.width : b.x + b.width;
    const int bottom = a.y + a.height < b.y + b.height ? a.y + a.height : b.y + b.height;
    return right > left && bottom > top ? (double)(right - left) * (bottom - top) : 0;
}

double mien_rect_overlap(mien_rect a, mien_rect b) {
    const double both = mien_rect_common(a, b);
    const double either = (double)a.width * a.height + (double)b.width * b.height - both;
    return both > 0 ? both / either : 0;
}

mien_rect mien_rect_inside(mien_rect box, int width, int height) {
    int right = box.x + box.width, bottom = box.y + box.height;
    if (box.x < 0) box.x = 0;
    if (box.y < 0) box.y = 0;
    if (box.x > width - 1) box.x = width - 1;
    if (box.y > height - 1) box.y = height - 1;
    if (right > width) right = width;
    if (bottom > height) bottom = height;
    box.width = right > box.x ? right - box.x : 1;
    box.height = bottom > box.y ? bottom - box.y : 1;
    return box;
}

mien_rect mien_rect_scale(mien_rect box, int from_width, int from_height, int width, int height) {
    const double x = (double)width / from_width, y = (double)height / from_height;
    const int left = (int)(box.x * x + 0.5), top = (int)(box.y * y + 0.5);
    int right = (int)((box.x + box.width) * x + 0.5),
        bottom = (int)((box.y + box.height) * y + 0.5);
    if (right > width) right = width;
    if (bottom > height) bottom = height;
    return (mien_rect){left, top, right > left ? right - left : 1, bottom > top ? bottom - top : 1};
}
