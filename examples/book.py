"""A Python type as a schema.

On the command line:   tokamask generate "Describe the novel Moby Dick." --schema examples/book.py:Book
As a program:          python examples/book.py
"""

from typing import Literal

from pydantic import BaseModel, Field


class Book(BaseModel):
    title: str = Field(min_length=1, max_length=60)
    author: str = Field(min_length=1, max_length=40)
    year: int = Field(ge=1400, le=2100)
    keywords: list[Literal["adventure", "comedy", "drama", "history", "poetry", "science"]] = Field(
        min_length=1, max_length=3
    )
    summary: str = Field(max_length=200)


if __name__ == "__main__":
    from tokamask import generate

    messages = [{"role": "user", "content": "Describe the novel Moby Dick."}]
    book = generate("demo", messages, schema=Book).value
    print(f"{book.title} by {book.author}, {book.year}")
