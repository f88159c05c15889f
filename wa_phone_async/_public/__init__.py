"""The public names, in two modules. `wa_phone_async` imports each when you use the first of its names.

calls       what every program needs that makes calls
workflows   what is built from many calls, and what needs none: few programs use all of it
"""
