"""Writes tests/golden/pictures: TIFF, WebP, GIF, HEIC and AVIF files, each with the pixels Pillow
decodes as PGM or PPM. Made with Pillow 13.0.0, pillow-heif 1.8.1 (libheif 1.23.6) and NumPy:
python3 tests/golden/make_pictures.py"""
import os
import numpy as np
import pillow_heif
from PIL import Image, ImageOps

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pictures")
os.makedirs(here, exist_ok=True)
y, x = np.mgrid[0:19, 0:23]
gray = ((x * 11 + y * 7 + (x * y) % 5 * 9) % 256).astype(np.uint8)
colour = np.stack([gray, (255 - gray // 2), (x * 5 + y * 3) % 256], -1).astype(np.uint8)
alpha = np.dstack([colour, np.where((x + y) % 3, 255, 0)]).astype(np.uint8)
smooth = np.stack([x * 11, 255 - y * 13, (x + y) * 6], -1).astype(np.uint8)
soft = np.dstack([smooth, (x + y) * 6]).astype(np.uint8)
pillow_heif.register_heif_opener()


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
        want = ImageOps.exif_transpose(want)  # only AVIF: Pillow leaves that to its caller
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
big = np.random.default_rng(1).integers(0, 256, (150, 150)) // (1 + np.mgrid[0:150, 0:150][0] // 4 * 8)
save("long.gif", Image.fromarray(big.astype(np.uint8)))  # more than 4096 codes, long strings
c.convert("CMYK").save(os.path.join(here, "cmyk.tif"))

# HEIC and AVIF: libheif's own conversion of colours, so the test allows small differences
s, even = Image.fromarray(smooth), Image.fromarray(smooth[:18, :22])
save("lossless.heic", c, quality=-1, chroma=444, matrix_coefficients=0)
save("full.heic", c, quality=90, chroma=444)
save("half.heic", s, quality=90)
save("gray.heic", g, quality=90)
save("alpha.heic", Image.fromarray(soft), quality=90)
for k in range(2, 9):
    exif = Image.Exif()
    exif[274] = k
    save("turn%d.heic" % k, even, quality=90, exif=exif.tobytes())
deep = os.path.join(here, "ten_bits.heic")
wide = smooth.astype(np.uint16) * 257
pillow_heif.encode("RGB;16", s.size, wide.tobytes(), deep, quality=90, chroma=444)
Image.open(deep).convert("RGB").save(deep + ".ppm")
save("full.avif", c, quality=100, subsampling="4:4:4")
save("half.avif", s, quality=90)
save("alpha.avif", Image.fromarray(soft), quality=100, subsampling="4:4:4")
exif = Image.Exif()
exif[274] = 6
save("turned.avif", even, quality=90, exif=exif)
