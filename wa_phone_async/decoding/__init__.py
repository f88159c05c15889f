"""JSON to values and back. `converter` is the way in; the other modules make it fast.

There are three ways to read a model. All give the same values:

- The *careful reader* (`converter`) reads one member after the other. It is slow, and says of each invalid member what
  is wrong and where.
- A *builder* (`builders`) is a function that is generated for one model. It makes the value of a parsed object in a few
  lines without a loop. At anything unusual it raises, and the careful reader takes over.
- The *fast path* (`fast_path`, with msgspec) parses the bytes of a whole page into *twins*. A twin is a
  `msgspec.Struct` with the fields of a model. A builder then makes a value of each twin. If anything in the page is
  unusual, the other two read the whole page instead.
"""
