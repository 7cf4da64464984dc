//! A program for the firmware: it greets, repeats each key that is typed, and switches the machine off at `q`.

/// What it says first.
pub(crate) const GREETING: &str = "vmtest: hello";

/// Its code (x86-64, the calling convention of UEFI 2.10 §2.3.4.2).
#[rustfmt::skip]
const CODE: [&[u8]; 27] = [
    &[0x53],                                     //       push rbx
    &[0x48, 0x83, 0xec, 0x30],                   //       sub  rsp, 48
    &[0x48, 0x89, 0xd3],                         //       mov  rbx, rdx                the system table
    &[0x48, 0x8b, 0x4b, 0x40],                   //       mov  rcx, [rbx + 64]         ConOut
    &[0x48, 0x8d, 0x15, 0x48, 0x00, 0x00, 0x00], //       lea  rdx, [rip + greeting]
    &[0xff, 0x51, 0x08],                         //       call [rcx + 8]               OutputString
    &[0x48, 0x8b, 0x4b, 0x30],                   // next: mov  rcx, [rbx + 48]         ConIn
    &[0x48, 0x8d, 0x54, 0x24, 0x20],             //       lea  rdx, [rsp + 32]
    &[0xff, 0x51, 0x08],                         //       call [rcx + 8]               ReadKeyStroke
    &[0x48, 0x85, 0xc0],                         //       test rax, rax
    &[0x74, 0x03],                               //       jz   key
    &[0xf4],                                     //       hlt
    &[0xeb, 0xec],                               //       jmp  next
    &[0x0f, 0xb7, 0x44, 0x24, 0x22],             // key:  movzx eax, word [rsp + 34]   UnicodeChar
    &[0x66, 0x83, 0xf8, 0x71],                   //       cmp  ax, 'q'
    &[0x74, 0x12],                               //       je   off
    &[0x89, 0x44, 0x24, 0x28],                   //       mov  [rsp + 40], eax
    &[0x48, 0x8b, 0x4b, 0x40],                   //       mov  rcx, [rbx + 64]         ConOut
    &[0x48, 0x8d, 0x54, 0x24, 0x28],             //       lea  rdx, [rsp + 40]
    &[0xff, 0x51, 0x08],                         //       call [rcx + 8]               OutputString
    &[0xeb, 0xcf],                               //       jmp  next
    &[0x48, 0x8b, 0x43, 0x58],                   // off:  mov  rax, [rbx + 88]         RuntimeServices
    &[0xb9, 0x02, 0x00, 0x00, 0x00],             //       mov  ecx, 2                  EfiResetShutdown
    &[0x31, 0xd2],                               //       xor  edx, edx
    &[0x45, 0x31, 0xc0],                         //       xor  r8d, r8d
    &[0x45, 0x31, 0xc9],                         //       xor  r9d, r9d
    &[0xff, 0x50, 0x68],                         //       call [rax + 104]             ResetSystem
];

/// Bytes of the headers, and where the code is in the file.
const HEADERS: usize = 512;
/// Where it is in memory.
const CODE_ADDRESS: u32 = 4096;
/// Where the PE header is.
const PE: usize = 64;

/// The program as an unsigned image (PE32+ with one section).
pub(crate) fn efi() -> Vec<u8> {
    let mut code = CODE.concat();
    code.extend(GREETING.encode_utf16().chain([13, 10, 0]).flat_map(u16::to_le_bytes));
    code.resize(code.len().next_multiple_of(HEADERS), 0);
    let size = u32::try_from(code.len()).expect("a small program");

    let mut image = vec![0; HEADERS];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(60, &[64]);
    // x86-64, one section, an optional header of 240 bytes, executable.
    put(PE, b"PE\0\0\x64\x86\x01\0");
    put(PE + 20, &[240, 0, 0x22, 0x02, 0x0b, 0x02]);
    // Size of the code, entry point, base of the code.
    put(PE + 28, &size.to_le_bytes());
    put(PE + 40, &[CODE_ADDRESS, CODE_ADDRESS].map(u32::to_le_bytes).concat());
    // Alignment of sections in memory and in the file; sizes in memory and of the headers; an EFI application.
    put(PE + 56, &[4096_u32, 512].map(u32::to_le_bytes).concat());
    put(PE + 80, &[2 * CODE_ADDRESS, 512].map(u32::to_le_bytes).concat());
    put(PE + 92, &[10, 0, 0x60, 0x01]);
    // Sixteen directories, all empty; then the section, which is code, executable and readable.
    put(PE + 132, &[16]);
    put(PE + 264, b".text");
    put(PE + 272, &[size, CODE_ADDRESS, size, 512].map(u32::to_le_bytes).concat());
    put(PE + 300, &0x6000_0020_u32.to_le_bytes());
    image.extend(code);
    image
}
