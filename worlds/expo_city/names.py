"""What the expo's buildings are called: constellations and minor planets, in all tongues alike."""

from __future__ import annotations

from typing import Final

_WORDS: Final = """
    Solaria Andromeda Antlia Apus Aquarius Aquila Ara Aries Auriga Bootes Caelum Camelopardalis
    Cancer Carina Cassiopeia Centaurus Cepheus Cetus Chamaeleon Circinus Columba Corvus Crater Crux
    Cygnus Delphinus Dorado Draco Equuleus Eridanus Fornax Gemini Grus Hercules Horologium Hydra
    Hydrus Indus Lacerta Leo Lepus Libra Lupus Lynx Lyra Mensa Microscopium Monoceros Musca Norma
    Octans Ophiuchus Orion Pavo Pegasus Perseus Phoenix Pictor Pisces Puppis Pyxis Reticulum Sagitta
    Sagittarius Scorpius Sculptor Scutum Serpens Sextans Taurus Telescopium Triangulum Tucana Ursa
    Vela Virgo Volans Vulpecula Ceres Pallas Juno Vesta Astraea Hebe Iris Flora Metis Hygiea
    Parthenope Egeria Irene Eunomia Psyche Thetis Melpomene Fortuna Massalia Lutetia Kalliope Thalia
    Themis Phocaea Proserpina Euterpe Bellona Amphitrite Urania Euphrosyne Pomona Polyhymnia Circe
    Leukothea Atalante Fides Leda Laetitia Harmonia Daphne Isis Ariadne Nysa Eugenia Hestia Aglaja
    Doris Pales Virginia Nemausa Europa Kalypso Alexandra Pandora Melete Mnemosyne Concordia Elpis
    Echo Danae Erato Ausonia Angelina Cybele Maja Asia Leto Hesperia Panopaea Niobe Feronia Klytia
    Galatea Eurydike Freia Frigga Diana Eurynome Sappho Terpsichore Alkmene Beatrix Klio Io Semele
    Sylvia Thisbe Julia Antiope Aegina Undina Minerva Aurora Arethusa Aegle Klotho Ianthe Dike
    Hekate Helena Miriam Hera Klymene Artemis Dione Camilla Hecuba Felicitas Lydia Ate Iphigenia
    Amalthea Kassandra Thyra Sirona Lomia Peitho Althaea Lachesis Hermione Gerda Brunhild Alkeste
    Liberatrix Velleda Johanna Nemesis Antigone Elektra Vala Aethra Cyrene Sophrosyne Hertha Austria
    Meliboea Tolosa Juewa Siwa Lumen Adria Vibilia Adeona Lucina Protogeneia Gallia Medusa Nuwa
    Abundantia Atala Hilda Bertha Scylla Xanthippe Dejanira Koronis Aemilia Una Athor Laurentia
    Erigone Eva Loreley Rhodope Urda Sibylla Zelia Ophelia Baucis Ino Phaedra Andromache Idunna
    Irma Belisana Klytaemnestra Istria Dynamene Eurykleia Penelope Chryse
"""
NAMES: Final = tuple(_WORDS.split())


def name_of(number: int) -> str:
    """What the building of a number, counted from 1, is called."""
    name = NAMES[(number - 1) % len(NAMES)]
    turn = (number - 1) // len(NAMES)
    return name if turn == 0 else f"{name} {turn + 1}"
