#include "host/image/font.h"

/* clang-format off */
static const mien_glyph glyphs['~' - ' ' + 1] = {
    [' ' - ' '] = {2, ""},
    ['!' - ' '] = {0, "M01L07M0aL0a"},
    ['"' - ' '] = {3, "M01L04M31L34"},
    ['#' - ' '] = {6, "M21L1aM51L4aM04L64M07L67"},
    ['$' - ' '] = {6, "M63Q6141L21Q0103Q0525L45Q6567L68Q6a4aL2aQ0a08M30L3b"},
    ['%' - ' '] = {8, "M81L0aM11L21Q3132L33Q3424L14Q0403L02Q0111M67L77Q8788L89Q8a7aL6aQ5a59L58Q5767"},
    ['&' - ' '] = {7, "M7aL25Q1413Q1131Q5153Q5435Q0608Q0a3aQ6a76"},
    ['\'' - ' '] = {0, "M01L04"},
    ['(' - ' '] = {2, "M20Q0306L07Q0a2d"},
    [')' - ' '] = {2, "M00Q2326L27Q2a0d"},
    ['*' - ' '] = {6, "M32L38M03L67M63L07"},
    ['+' - ' '] = {6, "M34L3aM07L67"},
    [',' - ' '] = {1, "M19L1aL0c"},
    ['-' - ' '] = {4, "M07L47"},
    ['.' - ' '] = {0, "M0aL0a"},
    ['/' - ' '] = {4, "M40L0c"},
    ['0' - ' '] = {5, "M21L31Q5153L58Q5a3aL2aQ0a08L03Q0121"},
    ['1' - ' '] = {5, "M13L31L3aM1aL5a"},
    ['2' - ' '] = {5, "M03Q0121L31Q5153Q5546L0aL5a"},
    ['3' - ' '] = {5, "M02Q1121L31Q5153Q5535L25M35Q5557L58Q5a3aL2aQ0a09"},
    ['4' - ' '] = {5, "M4aL41L07L57"},
    ['5' - ' '] = {5, "M51L01L05L35Q5557L58Q5a3aL2aQ0a09"},
    ['6' - ' '] = {5, "M52Q4131L21Q0103L08Q0a2aL3aQ5a58L57Q5535L25Q0507"},
    ['7' - ' '] = {5, "M01L51L2a"},
    ['8' - ' '] = {5, "M25L35Q5557L58Q5a3aL2aQ0a08L07Q0525Q0503Q0121L31Q5153Q5535"},
    ['9' - ' '] = {5, "M09Q1a2aL3aQ5a58L53Q5131L21Q0103L04Q0626L36Q5654"},
    [':' - ' '] = {0, "M05L05M0aL0a"},
    [';' - ' '] = {1, "M15L15M19L1aL0c"},
    ['<' - ' '] = {5, "M54L07L5a"},
    ['=' - ' '] = {5, "M05L55M08L58"},
    ['>' - ' '] = {5, "M04L57L0a"},
    ['?' - ' '] = {5, "M03Q0121L31Q5153Q5536L37M3aL3a"},
    ['@' - ' '] = {9, "M8cL4cQ0c07L05Q0141L51Q9195L97Q9989Q7977L74M76Q7454Q3436L37Q3959Q7977"},
    ['A' - ' '] = {6, "M0aL31L6aM17L57"},
    ['B' - ' '] = {6, "M05L45Q6567L68Q6a4aL0aL01L31Q5153Q5535"},
    ['C' - ' '] = {6, "M63Q6131Q0105L06Q0a3aQ6a68"},
    ['D' - ' '] = {6, "M01L0aL2aQ6a67L64Q6121L01"},
    ['E' - ' '] = {5, "M51L01L0aL5aM05L45"},
    ['F' - ' '] = {5, "M51L01L0aM05L45"},
    ['G' - ' '] = {6, "M63Q6131Q0105L06Q0a3aQ6a68L66L36"},
    ['H' - ' '] = {6, "M01L0aM61L6aM05L65"},
    ['I' - ' '] = {2, "M11L1aM01L21M0aL2a"},
    ['J' - ' '] = {4, "M41L48Q4a2aQ0a08"},
    ['K' - ' '] = {6, "M01L0aM61L07M25L6a"},
    ['L' - ' '] = {5, "M01L0aL5a"},
    ['M' - ' '] = {8, "M0aL01L46L81L8a"},
    ['N' - ' '] = {6, "M0aL01L6aL61"},
    ['O' - ' '] = {6, "M31Q0105L06Q0a3aQ6a66L65Q6131"},
    ['P' - ' '] = {6, "M0aL01L41Q6163L64Q6646L06"},
    ['Q' - ' '] = {6, "M31Q0105L06Q0a3aQ6a66L65Q6131M48L6b"},
    ['R' - ' '] = {6, "M0aL01L41Q6163L64Q6646L06M36L6a"},
    ['S' - ' '] = {6, "M63Q6141L21Q0103Q0525L45Q6567L68Q6a4aL2aQ0a08"},
    ['T' - ' '] = {6, "M01L61M31L3a"},
    ['U' - ' '] = {6, "M01L07Q0a3aQ6a67L61"},
    ['V' - ' '] = {6, "M01L3aL61"},
    ['W' - ' '] = {8, "M01L2aL43L6aL81"},
    ['X' - ' '] = {6, "M01L6aM61L0a"},
    ['Y' - ' '] = {6, "M01L36L3aM36L61"},
    ['Z' - ' '] = {6, "M01L61L0aL6a"},
    ['[' - ' '] = {2, "M20L00L0dL2d"},
    ['\\' - ' '] = {4, "M00L4c"},
    [']' - ' '] = {2, "M00L20L2dL0d"},
    ['^' - ' '] = {6, "M05L31L65"},
    ['_' - ' '] = {6, "M0cL6c"},
    ['`' - ' '] = {2, "M01L23"},
    ['a' - ' '] = {5, "M05Q1424L34Q5456L5aM57L27Q0708Q0a2aL3aQ5a58"},
    ['b' - ' '] = {5, "M01L0aM06Q0424L34Q5456L58Q5a3aL2aQ0a08"},
    ['c' - ' '] = {5, "M55Q4434L24Q0406L08Q0a2aL3aQ4a59"},
    ['d' - ' '] = {5, "M51L5aM56Q5434L24Q0406L08Q0a2aL3aQ5a58"},
    ['e' - ' '] = {5, "M07L57L56Q5434L24Q0406L08Q0a2aL3aQ4a59"},
    ['f' - ' '] = {3, "M31Q1113L1aM04L34"},
    ['g' - ' '] = {5, "M54L5bQ5d3dL2dQ1d0cM56Q5434L24Q0406L08Q0a2aL3aQ5a58"},
    ['h' - ' '] = {5, "M01L0aM06Q0424L34Q5456L5a"},
    ['i' - ' '] = {0, "M04L0aM01L01"},
    ['j' - ' '] = {1, "M14L1bQ1d0dM11L11"},
    ['k' - ' '] = {5, "M01L0aM44L08M26L5a"},
    ['l' - ' '] = {1, "M01L08Q0a1a"},
    ['m' - ' '] = {8, "M04L0aM06Q0424Q4446L4aM46Q4464Q8486L8a"},
    ['n' - ' '] = {5, "M04L0aM06Q0424L34Q5456L5a"},
    ['o' - ' '] = {5, "M24L34Q5456L58Q5a3aL2aQ0a08L06Q0424"},
    ['p' - ' '] = {5, "M04L0dM06Q0424L34Q5456L58Q5a3aL2aQ0a08"},
    ['q' - ' '] = {5, "M54L5dM56Q5434L24Q0406L08Q0a2aL3aQ5a58"},
    ['r' - ' '] = {3, "M04L0aM06Q0424L34"},
    ['s' - ' '] = {4, "M45Q3424Q0405Q0727Q4749Q4a2aQ1a09"},
    ['t' - ' '] = {3, "M12L18Q1a3aM04L34"},
    ['u' - ' '] = {5, "M04L08Q0a2aL3aQ5a58M54L5a"},
    ['v' - ' '] = {6, "M04L3aL64"},
    ['w' - ' '] = {8, "M04L2aL45L6aL84"},
    ['x' - ' '] = {5, "M04L5aM54L0a"},
    ['y' - ' '] = {6, "M04L3aM64L2cQ1d0d"},
    ['z' - ' '] = {5, "M04L54L0aL5a"},
    ['{' - ' '] = {3, "M30Q1012L15Q1707Q1719L1bQ1d3d"},
    ['|' - ' '] = {0, "M00L0d"},
    ['}' - ' '] = {3, "M00Q2022L25Q2737Q2729L2bQ2d0d"},
    ['~' - ' '] = {6, "M08Q1537Q5966"},
};
/* clang-format on */

/* The base letters of U+00C0 (Latin-1) to U+017F (Latin Extended-A); a space if none. */
static const char base[] = "AAAAAAACEEEEIIIIDNOOOOO OUUUUYTs"
                           "aaaaaaaceeeeiiiidnooooo ouuuuyty"
                           "AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGg"
                           "GgGgHhHhIiIiIiIiIiIiJjKkkLlLlLlL"
                           "lLlNnNnNnnNnOoOoOoOoRrRrRrSsSsSs"
                           "SsTtTtTtUuUuUuUuUuUuWwYyYZzZzZzs";
_Static_assert(sizeof base == 0x180 - 0xc0 + 1, "one letter per code point");

static const mien_glyph missing = {5, "M01L51L5aL0aL01"};

const mien_glyph *mien_glyph_of(unsigned code) {
    if (code >= 0xc0 && code < 0x180 && base[code - 0xc0] != ' ')
        code = (unsigned char)base[code - 0xc0];
    return code >= ' ' && code <= '~' ? &glyphs[code - ' '] : &missing;
}
