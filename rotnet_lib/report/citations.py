"""The papers that figures are from, as a sentence and as BibTeX (`sources` of `published.yaml`)."""

from pydantic import BaseModel, ConfigDict, Field


class Citation(BaseModel):
    """A paper at a conference."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    authors: list[str] = Field(min_length=1, description="given names, then the family name")
    title: str
    venue: str = Field(description="the conference, as it is abbreviated")
    year: int

    @property
    def text(self) -> str:
        """`Gidaris, Singh, Komodakis. Unsupervised Representation Learning by Predicting Image Rotations. ICLR 2018`"""
        names = ", ".join(name.rpartition(" ")[2] for name in self.authors)
        return f"{names}. {self.title}{'' if self.title.endswith('?') else '.'} {self.venue} {self.year}"

    @property
    def bibtex(self) -> str:
        """The same as an entry, named by the first author's family name and the year."""
        families = [name.rpartition(" ") for name in self.authors]
        authors = " and ".join(f"{family}, {given}" for given, _, family in families)
        return (
            f"@inproceedings{{{families[0][2].lower()}{self.year},\n"
            f"  author = {{{authors}}},\n"
            f"  title = {{{{{self.title}}}}},\n"
            f"  booktitle = {{{self.venue}}},\n"
            f"  year = {{{self.year}}},\n"
            "}"
        )
