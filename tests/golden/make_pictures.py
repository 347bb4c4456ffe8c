"""Writes tests/golden/pictures: TIFF, WebP and GIF files, each with the pixels Pillow decodes as PGM
or PPM. Made with Pillow 13.0.0 and NumPy: python3 tests/golden/make_pictures.py"""
import os
import numpy as np
from PIL import Image

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pictures")
os.makedirs(here, exist_ok=True)
y, x = np.mgrid[0:19, 0:23]
gray = ((x * 11 + y * 7 + (x * y) % 5 * 9) % 256).astype(np.uint8)
colour = np.stack([gray, (255 - gray // 2), (x * 5 + y * 3) % 256], -1).astype(np.uint8)
alpha = np.dstack([colour, np.where((x + y) % 3, 255, 0)]).astype(np.uint8)


def over_white(image):
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def save(name, image, want=None, **options):
    path = os.path.join(here, name)
    image.save(path, **options)
    if want is None:
        want = Image.open(path)
        want = want if want.mode in ("L", "RGB") else over_white(want)
    want.save(path + (".pgm" if want.mode == "L" else ".ppm"))


g, c, a = Image.fromarray(gray), Image.fromarray(colour), Image.fromarray(alpha)
save("gray.tif", g)
save("gray_lzw.tif", g, compression="tiff_lzw")
save("colour_lzw.tif", c, compression="tiff_lzw")
save("palette.tif", c.quantize(16))
save("alpha.tif", a)
save("turned.tif", c, c.transpose(Image.Transpose.ROTATE_270), tiffinfo={274: 6})
save("gray16.tif", Image.fromarray(gray.astype(np.uint16) * 257), g, compression="tiff_lzw")
save("colour.webp", c, lossless=True)
save("alpha.webp", a, lossless=True, exact=True)
save("lossy.webp", c, quality=80)
exif = Image.Exif()
exif[274] = 6
save("turned.webp", c, c.transpose(Image.Transpose.ROTATE_270), lossless=True, exif=exif)
save("plain.gif", c.quantize(16))
save("two.gif", c.quantize(16), save_all=True, append_images=[g.quantize(8)])
save("clear.gif", c.quantize(16), transparency=3)
c.convert("CMYK").save(os.path.join(here, "cmyk.tif"))
